/** Detector: Rust, by Cargo.toml and a binary. */
import { z } from 'zod';
import type { Detector, Facts, Finding, Miss } from '../detector.ts';
import { evidenceFor, lockWarning, versionFact } from '../evidence.ts';
import { BINARY } from '../dockerfiles/go.ts';
import { writeRust } from '../dockerfiles/rust.ts';
import { parseToml } from '../manifests.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, toolVersions } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';

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

const channel = (text: string): string | undefined => /(?:channel\s*=\s*")?\b(\d+\.\d+(?:\.\d+)?)\b/.exec(text)?.[1];

const RUNTIME: Runtime = {
  name: 'Rust',
  kind: 'rust',
  digits: 2,
  lines: [],
  standing: 'a recent stable version',
  files: [
    { path: 'rust-toolchain.toml', read: channel },
    { path: 'rust-toolchain', read: channel },
    toolVersions('rust'),
  ],
};

const FRAMEWORKS: readonly (readonly [name: string, crate: string, port: number])[] = [
  ['Axum', 'axum', 3000],
  ['Actix Web', 'actix-web', 8080],
  ['Rocket', 'rocket', 8000],
  ['Warp', 'warp', 3030],
];

export const rust: Detector = {
  name: 'rust',
  frameworks: ['Rust', ...FRAMEWORKS.map(([name]) => name)],
  best: 'certain',

  async detect(request): Promise<Finding | Miss> {
    const { repository } = request;
    const text = await repository.text('Cargo.toml');
    if (text === null) return { missed: 'no Cargo.toml' };
    const cargo = parseToml('Cargo.toml', text, Cargo);
    const [target, ...others] = await binaries(repository, cargo);
    if (target === undefined) return { missed: 'Cargo.toml, but no src/main.rs and no binary in a member' };
    const minimum = cargo.package?.['rust-version'];
    const said = minimum === undefined ? null : { value: `>=${minimum}`, from: 'Cargo.toml rust-version' };
    const runtime = await chooseRuntime(request, [repository], RUNTIME, said);
    const lock = await repository.head('Cargo.lock', 1_048_576);
    const [framework, crate, port] = FRAMEWORKS.find(([, crate]) => crate in target.dependencies) ?? ['Rust'];
    const facts: Facts = {
      framework,
      runtime: 'rust',
      ...versionFact(runtime),
      ...(port && { port }),
      buildCommand: `cargo build --release${lock === null ? '' : ' --locked'} --bin ${target.binary}`,
      startCommand: BINARY,
    };
    const recipe = {
      image: runtime.image,
      binary: target.binary,
      openssl: /^name = "openssl-sys"$/m.test(lock ?? '') || 'openssl' in target.dependencies,
    };
    return {
      confidence: 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: crate === undefined ? 'Cargo.toml' : `${target.file} lists ${crate}`,
          runtime: 'Cargo.toml',
          build: target.file,
          start: 'cargo build',
        },
        { runtime: 'Rust', version: runtime.evidence },
      ),
      warnings: [...runtime.warnings, ...severalWarning(target, others), ...lockWarning('Cargo.lock', lock !== null)],
      dockerfile: { origin: 'generated', write: (final) => writeRust(recipe, final) },
    };
  },
};

function severalWarning({ binary }: Binary, others: readonly Binary[]): string[] {
  if (others.length === 0) return [];
  return [`Several binaries: building ${binary}, not ${others.map((one) => one.binary).join(', ')}.`];
}

interface Binary {
  readonly binary: string;
  readonly file: string;
  readonly dependencies: Readonly<Record<string, unknown>>;
}

/** Binaries of the package, then of the members that are folders named one by one or by `dir/*`; at most 20. */
async function binaries(repository: RepositoryView, cargo: Cargo): Promise<Binary[]> {
  const found = await binariesOf(repository, '.', cargo);
  for (const member of cargo.workspace?.members.slice(0, 50) ?? []) {
    for (const folder of await foldersOf(repository, member)) {
      const path = `${folder}/Cargo.toml`;
      const text = await repository.text(path);
      if (text !== null) found.push(...(await binariesOf(repository, folder, parseToml(path, text, Cargo))));
      if (found.length > 20) return found;
    }
  }
  return found;
}

async function foldersOf(repository: RepositoryView, member: string): Promise<string[]> {
  const [, parent, rest] = /^((?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*)(\*|[A-Za-z0-9_][A-Za-z0-9._-]*)$/.exec(member) ?? [];
  if (parent === undefined || rest === undefined) return [];
  if (rest !== '*') return [`${parent}${rest}`];
  const entries = await repository.entries(parent === '' ? '.' : parent.slice(0, -1));
  return entries.filter((entry) => entry.endsWith('/')).map((entry) => `${parent}${entry.slice(0, -1)}`);
}

async function binariesOf(repository: RepositoryView, folder: string, cargo: Cargo): Promise<Binary[]> {
  if (cargo.package === undefined) return [];
  const at = (path: string): string => (folder === '.' ? path : `${folder}/${path}`);
  const main = (await repository.has(at('src/main.rs'))) ? [cargo.package.name] : [];
  const names = [...new Set([cargo.package['default-run'] ?? [], cargo.bin.map(({ name }) => name), main].flat())];
  return names.map((binary) => ({ binary, file: at('Cargo.toml'), dependencies: cargo.dependencies }));
}
