/**
 * SQLite's addon for a release, compiled from the sources in its npm package: the binary published there needs a newer
 * C library than Node does (docs/adr/0037).
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ReleaseTarget } from '../../protocol/release.ts';
import { mustRun } from '../stack/run-program.ts';
import { readLock } from './lock.ts';
import { beyond, needsOf } from './needs.ts';
import { cacheFolder, nodePackage } from './node-binary.ts';

/** Debian's names; both are available on either kind of machine (installer/prepare/packages.json). */
const COMPILERS: Readonly<Record<ReleaseTarget, string>> = {
  'linux-x64': 'x86_64-linux-gnu-g++',
  'linux-arm64': 'aarch64-linux-gnu-g++',
};

/** A processor shared with other work takes minutes. */
const COMPILE_TIMEOUT_MS = 20 * 60_000;

const PACKAGE = 'node_modules/better-sqlite3';
/** Below the repository. */
export const SQLITE_FOLDER = `${PACKAGE}/deps/sqlite3`;
const OWN = 'installer/release/addon';

const HEADERS = ['node_modules/node-addon-api', `node_modules/node-linux-${arch()}/include/node`, SQLITE_FOLDER];
/** As node-gyp and the package's binding.gyp compile the addon, hardened like Debian's own packages. */
const FLAGS = {
  all: [
    `-include${OWN}/old-glibc.h`,
    '-O2',
    '-fPIC',
    '-fno-ident',
    '-fstack-protector-strong',
    '-DNDEBUG',
    '-D_LARGEFILE_SOURCE',
    '-D_FILE_OFFSET_BITS=64',
    '-D_FORTIFY_SOURCE=2',
  ],
  c: ['-x', 'c', '-std=c99', '-w'],
  cpp: [
    '-std=c++20',
    '-fvisibility=hidden',
    '-fvisibility-inlines-hidden',
    '-DNAPI_VERSION=10',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ...HEADERS.map((folder) => `-I${folder}`),
  ],
  link: ['-shared', '-s', '-Wl,-Bsymbolic', '-Wl,--build-id=none', '-Wl,-z,relro', '-Wl,-z,now'],
} as const;

/**
 * Path of the addon, which is compiled once. The same compiler and sources give the same bytes, wherever the repository
 * is.
 * @throws OrkestrError ORK_PREPARE_FAILED with the compiler's output, or if the addon needs a newer library than Node
 */
export async function sqliteAddon(root: string, target: ReleaseTarget): Promise<string> {
  const lock = readLock(root);
  const compiler = COMPILERS[target];
  const version = await mustRun(compiler, [compiler, '--version']).catch((cause: unknown) => {
    throw new OrkestrError('ORK_PREPARE_FAILED', `${compiler} could not be run, but a release needs it.`, { cause });
  });
  const sources = [PACKAGE, 'node_modules/node-addon-api', `node_modules/node-linux-${arch()}`];
  const own = ['old-glibc.h', 'old-glibc.cpp'].map((name) => readFileSync(join(root, OWN, name), 'utf8'));
  const key = createHash('sha256')
    .update(JSON.stringify([version, FLAGS, sources.map((path) => lock.package(path).integrity), own]))
    .digest('hex');
  const kept = join(cacheFolder(root), `better-sqlite3-${target}-${key.slice(0, 16)}.node`);
  if (!existsSync(kept)) await compile(root, target, kept);
  const node = await nodePackage(root, target, lock);
  const newer = beyond(await needsOf(kept), await needsOf(join(node, 'bin/node')));
  if (newer.length > 0) {
    throw new OrkestrError('ORK_PREPARE_FAILED', `SQLite's addon needs ${newer.join(', ')}; Node does with less.`);
  }
  return kept;
}

async function compile(root: string, target: ReleaseTarget, file: string): Promise<void> {
  const making = `${file}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  const run = (...args: readonly string[]): Promise<string> =>
    mustRun(COMPILERS[target], [COMPILERS[target], ...args], { cwd: root, timeoutMs: COMPILE_TIMEOUT_MS });
  const object = async (source: string, ...flags: readonly string[]): Promise<string> => {
    const made = join(making, `${basename(source)}.o`);
    await run(...FLAGS.all, ...flags, '-c', source, '-o', made);
    return made;
  };
  try {
    const objects = await Promise.all([
      object(`${SQLITE_FOLDER}/sqlite3.c`, ...FLAGS.c, ...sqliteDefines(root)),
      object(`${PACKAGE}/src/better_sqlite3.cpp`, ...FLAGS.cpp),
      object(`${OWN}/old-glibc.cpp`, ...FLAGS.cpp),
    ]);
    const made = join(making, basename(file));
    await run(...FLAGS.link, '-o', made, ...objects);
    renameSync(made, file);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** The defines that the package compiles SQLite with: one quoted definition per line. */
function sqliteDefines(root: string): readonly string[] {
  const text = readFileSync(join(root, PACKAGE, 'deps/defines.gypi'), 'utf8');
  const defines = [...text.matchAll(/^ *'([A-Z]\w+(?:=[\w-]+)?)',$/gm)].map(([, define = '']) => `-D${define}`);
  if (!defines.includes('-DSQLITE_THREADSAFE=2')) throw new Error('better-sqlite3 says in another way how to compile.');
  return defines;
}
