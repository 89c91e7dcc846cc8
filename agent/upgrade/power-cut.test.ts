/** What an upgrade has on disk when the power fails: read from a copy of the disk at that moment. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { run } from '../lib/exec.ts';
import { layoutAt, linkedVersion, linkTo, releaseFolder } from './layout.ts';
import { obtainRelease } from './obtain.ts';
import { startTestHost } from './test-host.ts';

const DISK_MIB = 64;
const TIMEOUT_MS = 20_000;

const program = (name: string, ...args: string[]) => run(name, args, { timeoutMs: TIMEOUT_MS });

/** An ext4 disk in a file behind a loop device. What the kernel has not flushed is not in the file. */
class Disk {
  readonly root: string;
  readonly #file: string;
  readonly #mounted: string[] = [];

  private constructor(folder: string) {
    this.#file = join(folder, 'disk');
    this.root = join(folder, 'root');
  }

  static async make(t: TestContext): Promise<Disk> {
    const folder = mkdtempSync(join(tmpdir(), 'ork-cut-'));
    const disk = new Disk(folder);
    t.after(async () => {
      for (const root of disk.#mounted) await program('umount', root);
      rmSync(folder, { recursive: true });
    });
    await program('truncate', `--size=${DISK_MIB}M`, disk.#file);
    await program('mkfs.ext4', '-q', disk.#file);
    await disk.#mount(disk.#file, disk.root);
    return disk;
  }

  /** The disk as after a power cut now. @returns where it is mounted */
  async cutPower(): Promise<string> {
    const [file, root] = [`${this.#file}-after`, `${this.root}-after`];
    copyFileSync(this.#file, file);
    await this.#mount(file, root);
    return root;
  }

  async #mount(file: string, root: string): Promise<void> {
    mkdirSync(root);
    await program('mount', '-o', 'loop', file, root);
    this.#mounted.push(root);
  }
}

test('a release that is in place is complete after a power cut, and current points to it', async (t) => {
  const host = await startTestHost(t);
  const folder = await host.publish({ version: '1.1.0' });
  const disk = await Disk.make(t);
  const layout = layoutAt(disk.root);
  mkdirSync(layout.releases, { recursive: true });
  const first = releaseFolder(layout, '1.0.0');
  await program('cp', '--recursive', releaseFolder(host.parts.layout, '1.0.0'), first);
  linkTo(layout.current, '1.0.0');
  const wish = { from: '1.0.0', version: '1.1.0', source: { kind: 'folder', path: folder } } as const;
  await obtainRelease(layout, wish, host.parts.clock);
  linkTo(layout.current, '1.1.0');

  const after = layoutAt(await disk.cutPower());
  const release = releaseFolder(after, '1.1.0');
  const contents = (of: string) =>
    readdirSync(of, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path.slice(of.length), readFileSync(path, 'utf8')]);
  assert.deepEqual(readdirSync(after.releases).toSorted(), ['1.0.0', '1.1.0']);
  assert.deepEqual(contents(release), contents(releaseFolder(layout, '1.1.0')));
  assert.equal(linkedVersion(after.current), '1.1.0');
});
