/** Common parts of all generated Dockerfiles. */
import { posix } from 'node:path';
import type { PlanFile } from '../detector.ts';
import { startArgv } from '../start-command.ts';

/** The user of every generated image: not an account of the host, and not root. */
export const USER = '10001:10001';

/** For a generated Dockerfile, if the repository has none: excludes only what never belongs in an image. */
export const dockerIgnore: PlanFile = {
  path: '.dockerignore',
  text: `${['.git', '**/node_modules', '**/.venv', '**/__pycache__', '**/.DS_Store', '**/.env.local', '**/.env.*.local'].join('\n')}\n`,
};

/** A CMD or ENTRYPOINT in exec form. Its syntax is JSON, so no argument can break out of it. */
function execForm(argv: readonly string[]): string {
  return JSON.stringify(argv);
}

/** A BuildKit cache mount. Its id contains the project, so that no other project's build can write to it. */
export function cacheMount(scope: string, name: string, target: string): string {
  return `--mount=type=cache,id=${scope}-${name},target=${target}`;
}

/** Copies each manifest to its own folder. */
export function copyManifests(manifests: readonly string[]): string[] {
  const folders = new Map<string, string[]>();
  for (const path of manifests) {
    const folder = path.includes('/') ? `${path.slice(0, path.lastIndexOf('/'))}/` : './';
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  return [...folders].map(([folder, paths]) => `COPY ${paths.join(' ')} ${folder}`);
}

/** Installs Debian packages, without lists and recommendations; no line if there are none. */
export function aptInstall(packages: readonly string[]): string[] {
  if (packages.length === 0) return [];
  return [
    `RUN apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')} && rm -rf /var/lib/apt/lists/*`,
  ];
}

/** Path of the CA bundle that Debian programs trust. */
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

/** Images for building include it, but Debian's and Elixir's own do not: without it no HTTPS request works. */
export const COPY_CA_BUNDLE = `COPY --from=build ${CA_BUNDLE} ${CA_BUNDLE}`;

/**
 * The end of every final stage. The image needs no init: the engine adds one (`--init`) that reaps children and
 * forwards signals.
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

/** Path of a compiled program: outside /app, where it could clash with the repository's files. */
export const BINARY = '/usr/local/bin/app';

interface BinaryRequest {
  readonly image: string;
  /** Debian packages that the program needs to run. */
  readonly packages: readonly string[];
  /** Folder of the app in the build context, where the program starts. */
  readonly folder: string;
  readonly startCommand: string;
}

/** The final stage of a program that the stage `build` left as /out/app. */
export function binaryStage({ image, packages, folder, startCommand }: BinaryRequest): string[] {
  return [
    `FROM ${image}`,
    ...aptInstall(packages),
    'ENV HOME=/tmp',
    COPY_CA_BUNDLE,
    // Includes the sources, for files that apps read at run time: templates, migrations, assets.
    `COPY --chown=${USER} . /app`,
    `COPY --from=build --chown=${USER} /out/app ${BINARY}`,
    ...runAs(startCommand, posix.join('/app', folder)),
  ];
}

/** Joins stages to the text of a Dockerfile. */
export function stages(...all: readonly (readonly string[])[]): string {
  return all
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}
