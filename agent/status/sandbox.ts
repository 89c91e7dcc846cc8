/** The build engines: which ones run, and the size of their caches. Read from files, so that looking starts nothing. */
import { readdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../lib/exec.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import type { Check } from './check.ts';
import { gibibytes } from '../host-facts/machine.ts';

/** File systems that an engine mounts for its containers, which are not its cache. */
const LAYERED = ['overlay', 'tmpfs', 'nsfs', 'fuse-overlayfs', 'shm', 'proc', 'sysfs'];

export const sandbox: Check = {
  name: 'sandbox',
  async run({ stateFolder, sandboxFolder, answerMs = ANSWER_MS }) {
    const folder = join(stateFolder, 'sandbox');
    const [pids, cacheBytes] = await Promise.all([runningEngines(sandboxFolder), cacheUse(folder, answerMs)]);
    const engines = pids.length === 1 ? '1 build engine is running' : `${pids.length} build engines are running`;
    return {
      level: 'ok',
      summary: `${engines}, cache ${cacheBytes === null ? 'unknown' : gibibytes(cacheBytes)}`,
      details: pids.map((pid) => `process ${pid}`),
      data: { pids, cacheBytes },
    };
  },
};

/** From the pid files below the run folder, as far as the process is still a dockerd. */
async function runningEngines(folder: string): Promise<readonly number[]> {
  const files = await readdir(folder, { recursive: true }).catch(() => []); // no engine was ever started
  const pids = await Promise.all(
    files
      .filter((name) => name.split('/').at(-1) === 'dockerd.pid')
      .map(async (name) => Number(await readFile(join(folder, name), 'utf8').catch(() => ''))), // it stopped just now
  );
  const alive = await Promise.all(
    pids.filter((pid) => pid > 1).map(async (pid) => ((await isEngine(pid)) ? pid : null)),
  );
  return alive.filter((pid) => pid !== null);
}

async function isEngine(pid: number): Promise<boolean> {
  const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // no such process any more
  return argv.includes('dockerd');
}

/** Bytes used on the engines' own disks, if there are any, or else in the folder; null: not counted in time. */
async function cacheUse(folder: string, longestMs: number): Promise<number | null> {
  const disks = await mountsBelow(folder);
  if (disks.length > 0) {
    const used = await Promise.all(disks.map(async (path) => usedOf(await statfs(path))));
    return used.reduce((sum, bytes) => sum + bytes, 0);
  }
  // Summing up a large cache on a slow disk takes time. A missing folder uses nothing: du then exits with code 1.
  const options = { timeoutMs: longestMs };
  const { stdout, timedOut } = await exec('du', ['--summarize', '--block-size=1', '--', folder], options);
  return timedOut ? null : Number.parseInt(stdout, 10) || 0;
}

const usedOf = ({ blocks, bfree, bsize }: { blocks: number; bfree: number; bsize: number }): number =>
  (blocks - bfree) * bsize;

/** File systems mounted below a folder, by proc_mounts(5). */
async function mountsBelow(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [, path = '', type = ''] = line.split(' ');
    return path.startsWith(`${folder}/`) && !LAYERED.includes(type) ? [path.replaceAll('\\040', ' ')] : [];
  });
}
