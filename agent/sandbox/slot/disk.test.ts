/** Real file systems on real loop devices. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Exec, exec, run } from '../../lib/exec.ts';
import { makeSlotDisk, type SlotDisk } from './disk.ts';
import { MIB } from '../../../protocol/size.ts';

interface Fixture {
  readonly image: string;
  readonly said: string[];
  readonly make: (sizeMiB: number) => SlotDisk;
  readonly ensure: (disk: SlotDisk) => Promise<void>;
}

async function fixture(t: TestContext): Promise<Fixture> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'ork-disk-'));
  const make = (sizeMiB: number): SlotDisk => makeSlotDisk({ stateDirectory, sizeMiB, slots: 1, exec });
  t.after(async () => {
    await make(256).release();
    await rm(stateDirectory, { recursive: true });
  });
  const said: string[] = [];
  const image = join(stateDirectory, 'disk.img');
  return { image, said, make, ensure: (disk) => disk.ensure((text) => said.push(text)) };
}

const sizeMiB = async (disk: SlotDisk): Promise<number> => {
  const { usedBytes, freeBytes } = await disk.use();
  return (usedBytes + freeBytes) / MIB;
};
const mountLine = async (disk: SlotDisk): Promise<string> =>
  (await readFile('/proc/self/mounts', 'utf8')).split('\n').find((line) => line.includes(` ${disk.folder} `)) ?? '';

test('a disk is sparse, mounted nosuid and nodev, kept for the next build, and leaves no loop device behind', async (t) => {
  const { image, said, make, ensure } = await fixture(t);
  const disk = make(512);
  await ensure(disk);
  assert.match(await mountLine(disk), /^\/dev\/loop\d+ .* ext4 rw,nosuid,nodev/);
  const size = await sizeMiB(disk);
  assert.ok(size > 450 && size <= 512, `${size} MiB`);
  assert.ok((await stat(image)).blocks * 512 < 64 * MIB);
  await writeFile(join(disk.folder, 'kept'), 'kept');
  await ensure(make(512)); // like an agent restarted after a crash
  await disk.release();
  await disk.release();
  assert.equal(await mountLine(disk), '');
  assert.doesNotMatch((await run('losetup', ['--list'], { timeoutMs: 5000 })).stdout, new RegExp(image));
  await ensure(disk);
  assert.equal(await readFile(join(disk.folder, 'kept'), 'utf8'), 'kept');
  assert.deepEqual(said, ['Build disk of 512 MiB']);
});

test('a disk can be filled, and the host regains the space of deleted files', async (t) => {
  const { image, make, ensure } = await fixture(t);
  const disk = make(256);
  await ensure(disk);
  const held = async (): Promise<number> => (await stat(image)).blocks * 512;
  const before = await held();
  const file = await open(join(disk.folder, 'fill'), 'w');
  const fill = (async () => {
    for (;;) await file.write(Buffer.alloc(MIB, 1));
  })();
  await assert.rejects(fill, { code: 'ENOSPC' });
  await file.sync();
  await file.close();
  assert.ok((await held()) - before > 200 * MIB);
  await ensure(disk); // a full disk is not a broken one
  assert.ok(existsSync(join(disk.folder, 'fill')));
  await rm(join(disk.folder, 'fill'));
  await disk.giveBack();
  assert.ok((await held()) - before < 8 * MIB);
});

test('a disk grows with its content kept, and is recreated to become smaller', async (t) => {
  const { said, make, ensure } = await fixture(t);
  const small = make(256);
  await ensure(small);
  await writeFile(join(small.folder, 'kept'), 'kept');
  await small.release();
  const large = make(1024);
  await ensure(large);
  assert.ok((await sizeMiB(large)) > 900);
  assert.equal(await readFile(join(large.folder, 'kept'), 'utf8'), 'kept');
  await large.release();
  await ensure(small);
  assert.ok((await sizeMiB(small)) <= 256);
  assert.ok(!existsSync(join(small.folder, 'kept')));
  assert.deepEqual(said.slice(1, 3), [
    'The build disk grows to 1 GiB',
    'The build disk is made anew: it is to be smaller.',
  ]);
});

test('a damaged disk is recreated, with a message', async (t) => {
  const { image, said, make, ensure } = await fixture(t);
  const disk = make(256);
  await ensure(disk);
  await disk.release();
  const file = await open(image, 'r+');
  await file.write(Buffer.alloc(64 * MIB, 0xff), 0, 64 * MIB, 0);
  await file.close();
  await ensure(disk);
  assert.ok(said.includes('The build disk is made anew: it was damaged.'));
  await writeFile(join(disk.folder, 'works'), '');
});

test('missing loop devices and a missing program are each reported with their error', async (t) => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'ork-disk-'));
  t.after(() => rm(stateDirectory, { recursive: true }));
  const said = (): void => undefined;
  const failing = (program: string, by: Exec): SlotDisk =>
    makeSlotDisk({
      stateDirectory,
      sizeMiB: 256,
      slots: 1,
      exec: (name, ...rest) => (name === program ? by : exec)(name, ...rest),
    });
  const noLoop: Exec = async () => ({
    exitCode: 32,
    stdout: '',
    stderr: 'failed to set up loop device',
    timedOut: false,
  });
  await assert.rejects(failing('mount', noLoop).ensure(said), {
    code: 'ORK_SANDBOX',
    message: /ORKESTR_BUILD_DISK_MIB=0/,
  });
  await rm(join(stateDirectory, 'disk.img'));
  const missing: Exec = () => Promise.reject(new Error('spawn mkfs.ext4 ENOENT'));
  await assert.rejects(failing('mkfs.ext4', missing).ensure(said), {
    code: 'ORK_SANDBOX',
    evidence: ['spawn mkfs.ext4 ENOENT'],
  });
  const none = makeSlotDisk({ stateDirectory, sizeMiB: 0, slots: 1, exec: missing });
  await none.ensure(said);
  assert.ok((await none.use()).freeBytes > 0);
  await none.giveBack();
  await none.release();
});
