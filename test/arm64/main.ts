/**
 * `npm run test:arm64`: the release for arm64, run on this machine with QEMU's user-mode emulation. It is registered
 * with the kernel in a separate user namespace, so nothing but the tree stays on the machine. See HELP. The last line
 * of its output is JSON.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeRelease } from '../../installer/release/release.ts';
import { makeReleaseKey } from '../../installer/release/signature.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { archiveName } from '../../protocol/release.ts';
import { exitCodeOf } from '../harness/script.ts';
import type { Plan } from './plan.ts';
import { arm64Tree } from './tree.ts';

const HELP = `npm run test:arm64

Makes the release for linux-arm64 and runs it in a tree of Debian for arm64, emulated: all four programs, hub, agent and
proxy together, an analysis, a flip under requests, and install.sh as far as it checks the machine. Then it makes the
release again from a copy of the repository, which must give the same bytes. Without Docker Engine and without a
network. Needs root, Linux 6.7 and Debian's packages. It says nothing about speed or memory on a real one.

The last line is {"checks":[{"name","seconds","ok","said"}]}. Exits 1 when one failed.`;

const TARGET = 'linux-arm64';
/** Fast; published archives are smaller. */
const PRESET = 1;
const NAMESPACES = ['--user', '--map-root-user', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean', default: false } } });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const trees = join(ROOT, '.orkestr/arm64');
  mkdirSync(trees, { recursive: true, mode: 0o700 });
  const tree = await arm64Tree(trees, say);
  const folder = mkdtempSync(join(tmpdir(), 'ork-arm64-'));
  try {
    return await runIn({ tree, folder, ...(await unpackedRelease(folder)) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    // The mount point.
    rmSync(join(tree, folder), { recursive: true, force: true });
  }
}

async function unpackedRelease(folder: string): Promise<Omit<Plan, 'tree' | 'folder'>> {
  const release = join(folder, 'release');
  const keyFile = join(folder, 'key.pem');
  makeReleaseKey(keyFile);
  const { version } = await makeRelease({
    root: ROOT,
    out: release,
    targets: [TARGET],
    keyFile,
    url: '',
    preset: PRESET,
    say,
  });
  const archive = archiveName(version, TARGET);
  await mustRun('tar', ['tar', '--extract', '--file', join(release, archive), '--directory', folder]);
  const unpacked = join(folder, archive.replace('.tar.xz', ''));
  return { release, version, unpacked, keyFile, target: TARGET, preset: PRESET };
}

/** The checks write to our output. */
async function runIn(plan: Plan): Promise<number> {
  const program = [process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify(plan)];
  const child = spawn('unshare', [...NAMESPACES, '--', ...program], { stdio: ['ignore', 'inherit', 'inherit'] });
  // unshare blocks other signals while its child runs, and takes it along.
  const stop = (): void => void child.kill('SIGKILL');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  await once(child, 'close');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  return child.exitCode ?? 1;
}

process.exitCode = await exitCodeOf(main);
