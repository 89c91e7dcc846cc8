/** What all generated Dockerfiles share. */
import type { PlanFile } from '../detector.ts';
import { startArgv } from '../start-command.ts';

/** The user of every generated image: no account of the host, no root. */
export const USER = '10001:10001';

/** Used with a generated Dockerfile when the repository has none: what never belongs in an image, and nothing that might. */
export const dockerIgnore: PlanFile = {
  path: '.dockerignore',
  text: `${['.git', '**/node_modules', '**/.venv', '**/__pycache__', '**/.DS_Store', '**/.env.local', '**/.env.*.local'].join('\n')}\n`,
};

/** A CMD or ENTRYPOINT in exec form. JSON is its syntax, so nothing in an argument can leave it. */
function execForm(argv: readonly string[]): string {
  return JSON.stringify(argv);
}

/** A BuildKit cache mount. Its id carries the project, so that no other project's build can put things into it. */
export function cacheMount(scope: string, name: string, target: string): string {
  return `--mount=type=cache,id=${scope}-${name},target=${target}`;
}

/** Each manifest to the folder where it lies. */
export function copyManifests(manifests: readonly string[]): string[] {
  const folders = new Map<string, string[]>();
  for (const path of manifests) {
    const folder = path.includes('/') ? `${path.slice(0, path.lastIndexOf('/'))}/` : './';
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  return [...folders].map(([folder, paths]) => `COPY ${paths.join(' ')} ${folder}`);
}

/** Debian packages, without lists and recommendations; nothing for none. */
export function aptInstall(packages: readonly string[]): string[] {
  if (packages.length === 0) return [];
  return [
    `RUN apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')} && rm -rf /var/lib/apt/lists/*`,
  ];
}

/** Where programs of Debian look for the certificates that they trust. */
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

/** The official images to build with have it, Debian's own and Elixir's have not: without it no HTTPS request goes out. */
export const COPY_CA_BUNDLE = `COPY --from=build ${CA_BUNDLE} ${CA_BUNDLE}`;

/**
 * The end of every stage that runs. The engine puts an init in front (`--init`), which reaps children and passes signals
 * on, so none is in the image.
 */
export function runAs(startCommand: string, workdir = '/app', stopSignal = 'SIGTERM'): string[] {
  return [
    `WORKDIR ${workdir}`,
    `USER ${USER}`,
    `STOPSIGNAL ${stopSignal}`,
    'ENTRYPOINT []',
    `CMD ${execForm(startArgv(startCommand))}`,
  ];
}

/** Stages as the text of a Dockerfile. */
export function stages(...all: readonly (readonly string[])[]): string {
  return all
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}
