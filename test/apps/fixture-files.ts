/**
 * The files of a fixture app as they are pushed. Fixtures keep no lockfile of several hundred kilobytes. A stub without
 * packages stands for "this app has a lockfile of that kind"; the package manager itself fills it here, as for its
 * developer.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../installer/stack/run-program.ts';
import { appFolder } from '../fixtures/plan-of.ts';

/** A real lockfile of even one package is longer than this, bytes. */
const STUB_BYTES = 130;
const LOCK_TIMEOUT_MS = 300_000;

/** Command that fills a lockfile without running any code of the packages. */
const LOCKERS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  'package-lock.json': ['npm', 'install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'],
  'yarn.lock': ['npm', 'exec', '--yes', '--', 'yarn@1', 'install', '--ignore-scripts', '--non-interactive'],
};

/** Path → content. @throws OrkestrError ORK_PREPARE_FAILED when a lockfile cannot be filled */
export async function filesOf(fixture: string): Promise<Record<string, string>> {
  const files = readTree(appFolder(fixture));
  for (const [name, argv] of Object.entries(LOCKERS)) {
    const stub = files[name];
    if (stub !== undefined && stub.length < STUB_BYTES) files[name] = await fill(fixture, name, argv);
  }
  return files;
}

async function fill(fixture: string, name: string, argv: readonly [string, ...string[]]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-lock-'));
  try {
    cpSync(appFolder(fixture), folder, { recursive: true });
    rmSync(join(folder, name));
    await mustRun(`filling ${fixture}/${name}`, argv, { cwd: folder, timeoutMs: LOCK_TIMEOUT_MS });
    return readFileSync(join(folder, name), 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readTree(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    entries.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}
