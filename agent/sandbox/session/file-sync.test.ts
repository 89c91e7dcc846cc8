/** A file sync from the engine's side: packets on a real connection, valid and invalid ones. */
import assert from 'node:assert/strict';
import type { ClientHttp2Stream } from 'node:http2';
import { mkdtemp, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import protobuf from 'protobufjs/light.js';
import { until } from '../../../test/harness/until.ts';
import type { ContextEntry } from '../context/context.ts';
import { loadFilePackets, PACKET } from './file-packets.ts';
import { fileSync, newRecord, type SyncRecord } from './file-sync.ts';
import { GRPC } from './grpc-status.ts';
import { frame, serve } from './test-client.ts';
import { MIB } from '../../../protocol/size.ts';

const SCHEMA = protobuf.Root.fromJSON({
  nested: {
    Stat: { fields: { path: { type: 'string', id: 1 }, mode: { type: 'uint32', id: 2 } } },
    Packet: {
      fields: {
        type: { type: 'uint32', id: 1 },
        stat: { type: 'Stat', id: 2 },
        ID: { type: 'uint32', id: 3 },
        data: { type: 'bytes', id: 4 },
      },
    },
  },
}).lookupType('Packet');

/** A call that fails to end is a test failure too. */
const LIMITED = { timeout: 120_000 };

interface Packet {
  readonly type: number;
  readonly stat?: { readonly path: string; readonly mode: number } | null;
  readonly ID: number;
  readonly data: Buffer;
}

const request = (id: number): Buffer => frame(SCHEMA.encode({ type: PACKET.request, ID: id }).finish());
const END = frame(SCHEMA.encode({ type: PACKET.end }).finish());

/** Collects what the server sends in one call. */
class Receiver {
  readonly packets: Packet[] = [];
  readonly stream: ClientHttp2Stream;
  readonly ended: Promise<{ status: string; message: string }>;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    let rest: Buffer = Buffer.alloc(0);
    stream.on('data', (part: Buffer) => {
      rest = Buffer.concat([rest, part]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        const message = SCHEMA.decode(rest.subarray(5, end));
        this.packets.push(SCHEMA.toObject(message, { defaults: true, bytes: Buffer }) as Packet);
        rest = rest.subarray(end);
      }
    });
    this.ended = new Promise((resolve) => {
      let fields: Record<string, string> = {};
      const keep = (headers: object): void => void (fields = { ...fields, ...(headers as Record<string, string>) });
      stream.on('response', keep).on('trailers', keep);
      stream.on('error', () => undefined); // the status shows it
      const done = (): void =>
        resolve({ status: String(fields['grpc-status']), message: decodeURIComponent(fields['grpc-message'] ?? '') });
      stream.on('end', done).on('close', done);
    });
  }

  /** Waits for a packet of this kind. */
  async saw(is: (packet: Packet) => boolean): Promise<void> {
    await until(() => this.packets.some(is), 'the packet comes');
  }

  content(id: number): Buffer {
    return Buffer.concat(this.packets.filter(({ type, ID }) => type === PACKET.data && ID === id).map((p) => p.data));
  }
}

const isLastStat = ({ type, stat }: Packet): boolean => type === PACKET.stat && stat == null;
const isEndOf =
  (id: number) =>
  ({ type, ID, data }: Packet): boolean =>
    type === PACKET.data && ID === id && data.length === 0;

interface Synced {
  readonly receiver: Receiver;
  readonly record: SyncRecord;
  readonly folder: string;
}

/** Starts a sync of these files, path → bytes. */
async function sync(t: TestContext, files: Record<string, Buffer>, name = 'context'): Promise<Synced> {
  const folder = await mkdtemp(join(tmpdir(), 'ork-sync-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tree: ContextEntry[] = [{ kind: 'folder', name: 'a', mode: 0o1750, modifiedAt: 1n }];
  for (const [file, bytes] of Object.entries(files)) {
    const path = join(folder, file);
    await writeFile(path, bytes);
    tree.push({ kind: 'file', name: file, mode: 0o640, size: bytes.length, modifiedAt: 1n, content: { path } });
  }
  const record = newRecord();
  const method = fileSync(await loadFilePackets(), (dir) => (dir === 'context' ? { tree, record } : null));
  const client = await serve(t, { '/a.B/DiffCopy': method });
  const stream = client.request({
    ':method': 'POST',
    ':path': '/a.B/DiffCopy',
    'content-type': 'application/grpc',
    te: 'trailers',
    'dir-name': name,
  });
  return { receiver: new Receiver(stream), record, folder };
}

test(
  'the engine is sent the whole list and exactly the files that it requests, even after a pause',
  LIMITED,
  async (t) => {
    const large = Buffer.alloc(300_000, 'large');
    const { receiver, record } = await sync(t, { b: Buffer.from('b'), c: large, d: Buffer.alloc(0) });
    await receiver.saw(isLastStat);
    assert.deepEqual(
      receiver.packets.map(({ stat }) => [stat?.path, stat?.mode]),
      [
        ['a', 0x8010_0000 + 0o750],
        ['b', 0o640],
        ['c', 0o640],
        ['d', 0o640],
        [undefined, undefined],
      ], // Go's bits
    );
    receiver.stream.write(request(2));
    await receiver.saw(isEndOf(2));
    receiver.stream.write(request(3));
    await receiver.saw(isEndOf(3));
    receiver.stream.end(END);
    assert.equal((await receiver.ended).status, String(GRPC.ok));
    assert.ok(receiver.content(2).equals(large));
    assert.deepEqual([receiver.content(1).length, receiver.content(3).length], [0, 0]);
    assert.equal(receiver.packets.at(-1)?.type, PACKET.end);
    assert.deepEqual(record, { files: 2, bytes: large.length, failure: null });
  },
);

test('a folder that is not served and malformed requests are rejected with a status', LIMITED, async (t) => {
  const other = await sync(t, {}, 'elsewhere');
  assert.equal((await other.receiver.ended).status, String(GRPC.notFound));
  const tooLong = Buffer.alloc(5);
  tooLong.writeUInt32BE(0x7fff_ffff, 1);
  const cases: [string, Buffer, number][] = [
    ['a folder', request(0), GRPC.notFound],
    ['a file that is not there', request(4_000_000_000), GRPC.notFound],
    ['twice', Buffer.concat([request(1), request(1)]), GRPC.notFound],
    ['no packet', frame(Buffer.from([0xff, 0xff, 0xff])), GRPC.internal],
    ['too long', tooLong, GRPC.resourceExhausted],
    ['compressed', Buffer.from([1, 0, 0, 0, 0]), GRPC.internal],
  ];
  for (const [what, bytes, status] of cases) {
    const { receiver, record } = await sync(t, { b: Buffer.from('b') });
    receiver.stream.write(bytes);
    assert.equal((await receiver.ended).status, String(status), what);
    assert.equal(record.failure, null, what);
  }
});

test('a file that is now missing, shorter or a link ends the call, and the error names it', LIMITED, async (t) => {
  const changes: Record<string, (path: string) => Promise<void>> = {
    'cannot be read any more': (path) => unlink(path),
    'has less than the 5 bytes': (path) => truncate(path, 3),
    ELOOP: async (path) => {
      await unlink(path);
      await symlink('/etc/hostname', path);
    },
  };
  for (const [words, change] of Object.entries(changes)) {
    const { receiver, record, folder } = await sync(t, { b: Buffer.from('12345') });
    await receiver.saw(isLastStat);
    await change(join(folder, 'b'));
    receiver.stream.write(request(1));
    const { status, message } = await receiver.ended;
    assert.equal(status, String(GRPC.internal));
    assert.match(message, new RegExp(`^b .*${words}`));
    assert.equal(record.failure?.message, message);
    assert.equal(receiver.content(1).toString().replace(/^123$/, ''), '');
  }
});

test('only the announced size of a file that has grown is sent', LIMITED, async (t) => {
  const { receiver, folder } = await sync(t, { b: Buffer.from('12345') });
  await receiver.saw(isLastStat);
  await writeFile(join(folder, 'b'), '1234567');
  receiver.stream.write(request(1));
  await receiver.saw(isEndOf(1));
  assert.equal(receiver.content(1).toString(), '12345');
});

test(
  'an engine that does not read gets no more than the connection buffers, and its cancel ends the read',
  LIMITED,
  async (t) => {
    const { receiver, record } = await sync(t, { b: Buffer.alloc(64 * MIB) });
    await receiver.saw(isLastStat);
    receiver.stream.pause();
    const before = process.memoryUsage.rss();
    receiver.stream.write(request(1));
    await delay(300);
    assert.ok(process.memoryUsage.rss() - before < 32 * MIB);
    receiver.stream.close(8); // CANCEL
    await receiver.ended;
    assert.equal(record.failure, null);
  },
);
