/** Package managers of Node.js: which one a repository uses, and its commands. */
import type { Evidence } from '../../../protocol/steps.ts';
import { devEngine } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { pinnedHash } from './pinned-hash.ts';
import { pnpmOf } from './pnpm.ts';
import type { PinnedHash } from './pinned-hash.ts';
import { hasFocus, yarnOf } from './yarn.ts';
import type { RepositoryView } from '../repository.ts';

/** How to use one package manager. */
interface Manager {
  readonly lockfiles: readonly string[];
  /** The npm package that installs it; null: part of the base image. */
  readonly package: string | null;
  readonly install: string;
  readonly installWithoutLock: string;
  /** Option that excludes development dependencies; null if there is none, so that they are pruned. */
  readonly productionOnly: string | null;
  /** Removes development dependencies again. */
  readonly prune: string;
  /** Pruning reinstalls everything, without what scripts have generated in packages since. */
  readonly pruneInstallsAnew?: true;
  /** Pruning runs the app's own install scripts again. */
  readonly pruneRunsScripts?: true;
  readonly run: string;
  readonly cacheDirectory: string;
}

const PNPM_STORE = '/root/.pnpm-store';
/** Up to pnpm 10, and from pnpm 11 on. */
export const PNPM_STORE_VARIABLES = { npm_config_store_dir: PNPM_STORE, PNPM_CONFIG_STORE_DIR: PNPM_STORE };

export const MANAGERS = {
  npm: {
    lockfiles: ['package-lock.json', 'npm-shrinkwrap.json'],
    package: null,
    install: 'npm ci',
    installWithoutLock: 'npm install',
    productionOnly: '--omit=dev',
    prune: 'npm prune --omit=dev --ignore-scripts',
    run: 'npm run',
    cacheDirectory: '/root/.npm',
  },
  pnpm: {
    lockfiles: ['pnpm-lock.yaml'],
    package: 'pnpm',
    install: `pnpm install --frozen-lockfile --store-dir=${PNPM_STORE}`,
    installWithoutLock: `pnpm install --no-frozen-lockfile --store-dir=${PNPM_STORE}`,
    productionOnly: '--prod',
    // pnpm's prune recreates every package, without what install scripts and Prisma generated, and ignores members.
    // This install keeps other packages; the option removes unused ones, which would stay for a week. Without CI it
    // prompts before removals.
    prune: `CI=1 pnpm install --prod --ignore-scripts --config.modules-cache-max-age=0 --store-dir=${PNPM_STORE}`,
    run: 'pnpm run',
    cacheDirectory: PNPM_STORE,
  },
  yarn: {
    lockfiles: ['yarn.lock'],
    package: 'yarn',
    install: 'yarn install --frozen-lockfile',
    installWithoutLock: 'yarn install',
    productionOnly: '--production',
    prune: 'yarn install --production --frozen-lockfile --ignore-scripts --prefer-offline',
    run: 'yarn run',
    cacheDirectory: '/usr/local/share/.cache/yarn',
  },
  /** Yarn 2 and later. */
  berry: {
    lockfiles: ['yarn.lock'],
    package: '@yarnpkg/cli-dist',
    install: 'yarn install --immutable',
    installWithoutLock: 'yarn install --no-immutable',
    productionOnly: null,
    prune: 'yarn workspaces focus --all --production',
    pruneRunsScripts: true,
    run: 'yarn run',
    cacheDirectory: '/root/.yarn/berry/cache',
  },
  bun: {
    lockfiles: ['bun.lock', 'bun.lockb'],
    package: 'bun',
    install: 'bun install --frozen-lockfile',
    installWithoutLock: 'bun install',
    productionOnly: '--production',
    // bun has no prune. Packages that are built at install are built again.
    prune: 'rm -rf node_modules && bun install --production --frozen-lockfile',
    pruneInstallsAnew: true,
    pruneRunsScripts: true,
    run: 'bun run',
    cacheDirectory: '/root/.bun/install/cache',
  },
} as const satisfies Record<string, Manager>;
export type ManagerName = keyof typeof MANAGERS;

export interface ManagerSetup {
  /** The npm package that installs it. */
  readonly package: string;
  readonly version: string;
  readonly hash: PinnedHash | null;
}

/** For commands that call bun although another manager installs the packages. */
export const BUN: ManagerSetup = { package: MANAGERS.bun.package, version: '1', hash: null };

export interface ChosenManager {
  readonly name: ManagerName;
  /** How to install it in the image; null if the base image has it. */
  readonly setup: ManagerSetup | null;
  readonly lockfile: string | null;
  /** Whether it can exclude development dependencies. */
  readonly prunes: boolean;
  readonly evidence: Evidence;
  readonly warnings: readonly string[];
}

/** Its usual name. */
export const shownName = (name: ManagerName): string => (name === 'berry' ? 'yarn' : name);

export const managerOf = ({ name }: Pick<ChosenManager, 'name'>): Manager => MANAGERS[name];

/** Enough of a lockfile for its format, and for what pnpm writes before the packages. */
const HEAD_BYTES = 16_384;

/** By the `packageManager` field, else the lockfile, else npm. */
export async function choosePackageManager(repository: RepositoryView, manifest: PackageJson): Promise<ChosenManager> {
  const present = new Map<string, string>();
  for (const lockfile of new Set(Object.values(MANAGERS).flatMap(({ lockfiles }) => lockfiles))) {
    const head = await repository.head(lockfile, HEAD_BYTES);
    if (head !== null) present.set(lockfile, head);
  }
  const declared = fromField(manifest.packageManager);
  const found = declared ?? fromLockfile(present, manifest);
  const { name } = found;
  const lockfile = MANAGERS[name].lockfiles.find((file) => present.has(file)) ?? null;
  const setup = setupOf(found, declared && manifest.packageManager);
  return {
    name,
    setup,
    lockfile,
    prunes: name !== 'berry' || (await hasFocus(repository, found.version)),
    evidence: { subject: 'packageManager', value: shown(name, setup), from: found.from },
    warnings: [
      ...fieldWarnings(manifest.packageManager, name, setup),
      ...(lockfile === null
        ? ['There is no lockfile, so the same commit may get other versions tomorrow. Commit one.']
        : []),
      ...(declared === null ? otherLockfiles(present, found) : []),
    ],
  };
}

/** A warning about other lockfiles: only the authors know which one is kept up to date. */
function otherLockfiles(present: ReadonlyMap<string, string>, { name, from }: Choice): string[] {
  const own: readonly string[] = MANAGERS[name].lockfiles;
  const others = [...present.keys()].filter((file) => !own.includes(file));
  return others.length === 0
    ? []
    : [
        `orkestr installs packages from ${from}, but there is also ${others.join(' and ')}. Delete the lockfiles that you do not use, or set packageManager in package.json.`,
      ];
}

function setupOf({ name, version }: Choice, field: string | null | undefined): ManagerSetup | null {
  const { package: bringer } = MANAGERS[name];
  return bringer === null ? null : { package: bringer, version, hash: pinnedHash(field ?? '') };
}

function shown(name: ManagerName, setup: ManagerSetup | null): string {
  if (setup === null) return name;
  const { version, hash } = setup;
  return `${shownName(name)} ${version}${hash === null ? '' : `, pinned by ${hash.algorithm}`}`;
}

function fieldWarnings(field: string | undefined, name: ManagerName, setup: ManagerSetup | null): string[] {
  if (field === undefined) return [];
  if (fromField(field) === null) {
    return [`orkestr does not support packageManager "${field.slice(0, 60)}" of package.json and uses ${name}.`];
  }
  return setup?.hash === null && field.includes('+')
    ? [
        'orkestr cannot check the hash in packageManager of package.json. Use, for example, sha512 with 128 lower-case hex digits.',
      ]
    : [];
}

interface Choice {
  readonly name: ManagerName;
  readonly version: string;
  readonly from: string;
}

/** `pnpm@9.1.0+sha512.…`, as corepack defines it; null if absent, for another manager, or malformed. */
function fromField(field: string | undefined): Choice | null {
  const [, name, version] =
    /^(npm|pnpm|yarn|bun)@(\d+\.\d+\.\d+(?:-[A-Za-z0-9.]+)?)(?:\+[A-Za-z0-9.=]+)?$/.exec(field ?? '') ?? [];
  if (name === undefined || version === undefined) return null;
  const from = 'package.json packageManager';
  if (name === 'yarn') return { name: version.startsWith('1.') ? 'yarn' : 'berry', version, from };
  return { name: name === 'pnpm' || name === 'bun' ? name : 'npm', version, from };
}

function fromLockfile(present: ReadonlyMap<string, string>, manifest: PackageJson): Choice {
  for (const file of MANAGERS.npm.lockfiles) if (present.has(file)) return { name: 'npm', version: '', from: file };
  const pnpm = present.get('pnpm-lock.yaml');
  if (pnpm !== undefined) {
    const range = manifest.engines.pnpm ?? devEngine(manifest, 'packageManager', 'pnpm');
    return { name: 'pnpm', version: pnpmOf(pnpm, range), from: 'pnpm-lock.yaml' };
  }
  for (const file of MANAGERS.bun.lockfiles) if (present.has(file)) return { name: 'bun', version: '1', from: file };
  const yarn = present.get('yarn.lock');
  if (yarn === undefined) return { name: 'npm', version: '', from: 'default' };
  return yarn.includes('__metadata:')
    ? { name: 'berry', version: yarnOf(yarn), from: 'yarn.lock' }
    : { name: 'yarn', version: '1', from: 'yarn.lock' };
}
