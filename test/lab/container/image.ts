/** The image of a lab host that is a container: a bare Debian with systemd, like a server's. Made once per machine. */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { findMirror } from '../../../agent/base-images/mirror.ts';
import { bootstrap, copyTrust, packTree } from '../../../agent/base-images/tree.ts';
import { runProgram } from '../../../installer/stack/run-program.ts';
import type { HostImage } from '../host.ts';
import { BARE, HOST_RELEASE, layBare } from '../server.ts';
import type { Suite } from '../server.ts';
import { ContainerHost } from './host.ts';

const BUILD_VERSION = 1;

/**
 * Makes the image if it is missing.
 * @param extra packages in addition to the bare ones
 */
export async function containerImage(
  extra: readonly string[],
  say: (text: string) => void,
  suite: Suite = HOST_RELEASE,
): Promise<HostImage> {
  const name = await ensureImage(extra, say, suite);
  return { boot: (plan) => ContainerHost.boot(name, plan) };
}

async function ensureImage(extra: readonly string[], say: (text: string) => void, suite: Suite): Promise<string> {
  const packages = [...BARE, ...extra];
  const key = createHash('sha256')
    .update(JSON.stringify([BUILD_VERSION, suite, packages]))
    .digest('hex');
  const name = `orkestr-lab:${key.slice(0, 12)}`;
  if ((await runProgram(['docker', 'image', 'inspect', '--format', '{{.Id}}', name])).code === 0) return name;
  say(`making the image of a lab host (${suite}, ${packages.length} packages); once per machine`);
  const folder = mkdtempSync(join(tmpdir(), 'ork-lab-image-'));
  try {
    const tree = join(folder, 'tree');
    const mirror = await findMirror(suite);
    await bootstrap(tree, mirror, packages, suite);
    await copyTrust(tree);
    layBare(tree, mirror);
    await importTree(tree, name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return name;
}

async function importTree(tree: string, name: string): Promise<void> {
  const { tar, done } = packTree(tree);
  const docker = spawn('docker', ['import', '--change', 'CMD ["/lib/systemd/systemd"]', '-', name], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => docker.on('error', reject).on('close', resolve));
  await Promise.all([pipeline(tar, docker.stdin), done]);
  if ((await ended) !== 0) throw new Error(`docker import of ${name} failed`);
}
