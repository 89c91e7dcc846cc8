/** Detector: Rust, by Cargo.toml and a binary. */
import { z } from 'zod';
import type { Detector, Facts, DetectedApp, Miss, Stated } from '../detector.ts';
import { evidenceFor, lockWarning, versionFact } from '../evidence.ts';
import { BINARY } from '../dockerfiles/common.ts';
import { writeRust } from '../dockerfiles/rust.ts';
import { parseToml } from '../manifests.ts';
import { memberFolders } from '../member-folders.ts';
import { joinPath, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { rustPackages } from '../rust/libraries.ts';
import { chooseRuntime, toolVersions } from '../runtime.ts';
import type { ChosenRuntime, Runtime } from '../runtime.ts';
import { workspaceAround } from '../workspace-around.ts';
import type { WorkspacePlace } from '../workspace-around.ts';
import { MIB } from '../../../protocol/size.ts';

const Name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/, 'a name of letters, digits, - and _');

const Cargo = z.looseObject({
  package: z
    .looseObject({ name: Name, 'default-run': Name.optional(), 'rust-version': z.string().optional().catch(undefined) })
    .optional(),
  bin: z.array(z.looseObject({ name: Name })).default([]),
  dependencies: z.record(z.string(), z.unknown()).default({}),
  workspace: z.looseObject({ members: z.array(z.string()).default([]) }).optional(),
});
type Cargo = z.infer<typeof Cargo>;

/** `1.80.0`, or a channel: `stable`, `nightly-2026-01-31`. */
const channel = (text: string): string | undefined =>
  /(?:channel\s*=\s*")?\b(\d+\.\d+(?:\.\d+)?|(?:stable|beta|nightly)(?:-\d{4}-\d\d-\d\d)?)\b/.exec(text)?.[1];

const RUNTIME: Runtime = {
  name: 'Rust',
  kind: 'rust',
  digits: 2,
  lines: [],
  trixieSince: '1.89',
  standing: 'a recent stable version',
  files: [
    { path: 'rust-toolchain.toml', read: channel },
    { path: 'rust-toolchain', read: channel },
    ...toolVersions('rust'),
  ],
};

interface Framework {
  readonly name: string;
  readonly crate: string;
  readonly port: number;
  /** Variables that set the listen address; most programs set it in code. */
  readonly environment?: string;
}

const FRAMEWORKS: readonly Framework[] = [
  { name: 'Axum', crate: 'axum', port: 3000 },
  { name: 'Actix Web', crate: 'actix-web', port: 8080 },
  // Its release profile listens on 127.0.0.1 too.
  { name: 'Rocket', crate: 'rocket', port: 8000, environment: 'ROCKET_ADDRESS=0.0.0.0 ROCKET_PORT=$PORT ' },
  { name: 'Warp', crate: 'warp', port: 3030 },
];

export const rust: Detector = {
  name: 'rust',
  frameworks: ['Rust', ...FRAMEWORKS.map(({ name }) => name)],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository, checkout } = request;
    const text = await repository.text('Cargo.toml');
    if (text === null) return { missed: 'no Cargo.toml' };
    const cargo = parseToml('Cargo.toml', text, Cargo);
    const [target, ...others] = await binaries(repository, cargo);
    if (target === undefined)
      return { missed: 'Cargo.toml, but no src/main.rs, nothing in src/bin and no binary in a member' };
    const workspace = await workspaceOfMember(checkout.repository, checkout.rootDirectory);
    const root = workspace === null ? repository : within(checkout.repository, workspace.root);
    const runtime = await chooseRuntime(request, [repository, root], RUNTIME, versionOf(cargo));
    const lock = await root.head('Cargo.lock', MIB);
    const framework = frameworkOf(target);
    const facts: Facts = {
      framework: framework?.name ?? 'Rust',
      runtime: 'rust',
      ...versionFact(runtime),
      ...(framework && { port: framework.port }),
      buildCommand: buildCommand(target, lock, workspace === null ? undefined : cargo.package?.name),
      startCommand: `${framework?.environment ?? ''}${BINARY}`,
    };
    const recipe = {
      image: runtime.image,
      folder: workspace?.folder ?? '.',
      binary: target.binary,
      packages: rustPackages(lock, target.dependencies),
    };
    return {
      confidence: 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: framework === undefined ? 'Cargo.toml' : `${target.file} lists ${framework.crate}`,
          runtime: 'Cargo.toml',
          build: target.file,
          start: 'cargo build',
        },
        { runtime: 'Rust', version: runtime.evidence },
      ),
      warnings: warningsOf(runtime, [target, ...others], lock),
      ...(workspace !== null && { context: workspace.root }),
      dockerfile: { origin: 'generated', write: (final) => writeRust(recipe, final) },
    };
  },
};

function versionOf(cargo: Cargo): Stated<string> | null {
  const minimum = cargo.package?.['rust-version'];
  return minimum === undefined ? null : { value: `>=${minimum}`, from: 'Cargo.toml rust-version' };
}

const frameworkOf = ({ dependencies }: Binary): Framework | undefined =>
  FRAMEWORKS.find(({ crate }) => crate in dependencies);

/** @param member name of the package in its workspace; undefined: any package may have the binary */
function buildCommand({ binary }: Binary, lock: string | null, member: string | undefined): string {
  const locked = lock === null ? [] : ['--locked'];
  const only = member === undefined ? [] : ['--package', member];
  return ['cargo build --release', ...locked, ...only, '--bin', binary].join(' ');
}

function warningsOf(runtime: ChosenRuntime, targets: readonly [Binary, ...Binary[]], lock: string | null): string[] {
  return [
    ...runtime.warnings,
    ...channelWarning(runtime),
    ...severalWarning(...targets),
    ...lockWarning('Cargo.lock', lock !== null),
  ];
}

/** The images have a stable version, and rustup fetches the channel that the file names. */
function channelWarning({ evidence: { from }, version }: ChosenRuntime): string[] {
  if (!/: (?:beta|nightly)\b/.test(from)) return [];
  return [
    `Each build downloads the toolchain of ${from}, which takes a while. A host that made its base images itself builds with ${version} instead. If a stable version is enough, name it in that file.`,
  ];
}

function severalWarning({ binary }: Binary, ...others: readonly Binary[]): string[] {
  if (others.length === 0) return [];
  return [`There are several binaries: orkestr builds ${binary}, not ${others.map((one) => one.binary).join(', ')}.`];
}

interface Binary {
  readonly binary: string;
  readonly file: string;
  readonly dependencies: Readonly<Record<string, unknown>>;
}

/** Binaries of the package, then of the members; those with a web framework first. */
async function binaries(repository: RepositoryView, cargo: Cargo): Promise<Binary[]> {
  const found = await allBinaries(repository, cargo);
  const isServer = (binary: Binary): number => (frameworkOf(binary) === undefined ? 0 : 1);
  return found.toSorted((a, b) => isServer(b) - isServer(a));
}

/** Members are listed by name or as `dir/*`; at most 20. */
async function allBinaries(repository: RepositoryView, cargo: Cargo): Promise<Binary[]> {
  const found = await binariesOf(repository, '.', cargo);
  for (const folder of await membersOf(repository, cargo)) {
    const path = `${folder}/Cargo.toml`;
    const text = await repository.text(path);
    if (text !== null) found.push(...(await binariesOf(repository, folder, parseToml(path, text, Cargo))));
    if (found.length > 20) return found;
  }
  return found;
}

async function membersOf(repository: RepositoryView, { workspace }: Cargo): Promise<string[]> {
  const members = workspace?.members.slice(0, 50) ?? [];
  return (await Promise.all(members.map((member) => memberFolders(repository, member)))).flat();
}

/** The workspace that a root directory is a member of, with the lockfile and sibling folders; null if there is none. */
const workspaceOfMember = (checkout: RepositoryView, rootDirectory: string): Promise<WorkspacePlace | null> =>
  workspaceAround(checkout, rootDirectory, async (view, root, folder) => {
    const text = folder === '.' ? null : await view.text('Cargo.toml');
    if (text?.includes('workspace') !== true) return false;
    return (await membersOf(view, parseToml(joinPath(root, 'Cargo.toml'), text, Cargo))).includes(folder);
  });

async function binariesOf(repository: RepositoryView, folder: string, cargo: Cargo): Promise<Binary[]> {
  if (cargo.package === undefined) return [];
  const at = (path: string): string => joinPath(folder, path);
  const main = (await repository.has(at('src/main.rs'))) ? [cargo.package.name] : [];
  const entries = await repository.entries(at('src/bin'));
  const further = entries.flatMap((name) => /^([A-Za-z0-9_][A-Za-z0-9_-]{0,63})\.rs$/.exec(name)?.[1] ?? []);
  const said = cargo.bin.map(({ name }) => name);
  const names = [...new Set([cargo.package['default-run'] ?? [], said, main, further].flat())];
  return names.map((binary) => ({ binary, file: at('Cargo.toml'), dependencies: cargo.dependencies }));
}
