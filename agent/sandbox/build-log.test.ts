import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs/light.js';
import { makeBuildLog } from './build-log.ts';
import { type BuildStatus, makeStatusDecoder, type Vertex } from './build-status.ts';

const vertex = (name: string, changes: Partial<Vertex> = {}): Vertex => ({
  digest: name,
  name,
  cached: false,
  started: true,
  seconds: null,
  error: '',
  ...changes,
});
const output = (name: string, text: string): BuildStatus => ({
  vertexes: [],
  logs: [{ vertex: name, bytes: Buffer.from(text) }],
});
const news = (...vertexes: Vertex[]): BuildStatus => ({ vertexes, logs: [] });

function record(statuses: readonly BuildStatus[]): { text: string; log: ReturnType<typeof makeBuildLog> } {
  let text = '';
  const log = makeBuildLog({
    write: (bytes) => void (text += Buffer.from(bytes).toString()),
    line: (line) => void (text += `${line}\n`),
  });
  for (const status of statuses) log.take(status);
  return { text, log };
}

test('each command is headed by its line, with its output below and its time', () => {
  const run = '[2/3] RUN npm ci';
  const { text } = record([
    news(vertex('[internal] load build context'), vertex('[1/3] FROM node', { seconds: 1 })),
    news(vertex(run)),
    news(vertex(run)),
    output(run, 'added 3 packages'),
    news(vertex(run, { seconds: 2.34 })),
    news(vertex('[3/3] COPY . .', { cached: true, seconds: 0 })),
  ]);
  assert.equal(text, '[2/3] RUN npm ci\nadded 3 packages\ndone in 2.3 s\n[3/3] COPY . . (cached)\n');
});

test('output that comes with the end of its command stands above the end', () => {
  const run = '[1/1] RUN a';
  const { text } = record([
    { vertexes: [vertex(run, { seconds: 1 })], logs: [{ vertex: run, bytes: Buffer.from('x\n') }] },
  ]);
  assert.equal(text, '[1/1] RUN a\nx\ndone in 1.0 s\n');
});

test('two stages that speak in turn are told apart', () => {
  const [a, b] = ['[a 1/1] RUN a', '[b 1/1] RUN b'];
  const { text } = record([news(vertex(a), vertex(b)), output(a, '1\n'), output(b, '2\n'), output(a, '3\n')]);
  assert.equal(text, `${a}\n${b}\n${a}\n1\n${b}\n2\n${a}\n3\n`);
});

test('a failed command is remembered with its last lines, cut', () => {
  const run = '[2/2] RUN make';
  const noise = Array.from({ length: 5000 }, (_, index) => `line ${index}`).join('\n');
  const { log } = record([
    news(vertex(run)),
    output(run, `${noise}\n${'x'.repeat(2000)}\n`),
    news(vertex(run, { seconds: 1, error: 'exit code: 2' })),
  ]);
  const failed = log.failed();
  assert.equal(failed?.command, 'RUN make');
  assert.equal(failed?.lastLines.length, 25);
  assert.deepEqual(failed?.lastLines.slice(-2), ['line 4999', 'x'.repeat(500)]);
});

test('bytes that are no text pass unchanged', () => {
  const chunks: Uint8Array[] = [];
  const log = makeBuildLog({ write: (bytes) => void chunks.push(bytes), line: () => undefined });
  const bytes = Buffer.from([0, 255, 10]);
  log.take({ vertexes: [vertex('[1/1] RUN a')], logs: [{ vertex: '[1/1] RUN a', bytes }] });
  assert.deepEqual(Buffer.concat(chunks), bytes);
});

test("the engine's messages are decoded, and fields that nobody reads are skipped", async () => {
  const root = protobuf.Root.fromJSON({
    nested: {
      T: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
      V: {
        fields: {
          digest: { type: 'string', id: 1 },
          inputs: { rule: 'repeated', type: 'string', id: 2 },
          name: { type: 'string', id: 3 },
          cached: { type: 'bool', id: 4 },
          started: { type: 'T', id: 5 },
          completed: { type: 'T', id: 6 },
          error: { type: 'string', id: 7 },
        },
      },
      L: {
        fields: { vertex: { type: 'string', id: 1 }, stream: { type: 'int64', id: 3 }, msg: { type: 'bytes', id: 4 } },
      },
      S: { fields: { v: { rule: 'repeated', type: 'V', id: 1 }, l: { rule: 'repeated', type: 'L', id: 3 } } },
    },
  });
  const type = root.lookupType('S');
  const bytes = type
    .encode({
      v: [
        {
          digest: 'd',
          inputs: ['x'],
          name: 'n',
          started: { seconds: 5, nanos: 900e6 },
          completed: { seconds: 7, nanos: 100e6 },
        },
        { digest: 'e', name: 'm' },
      ],
      l: [{ vertex: 'd', stream: 1, msg: Buffer.from('hi') }],
    })
    .finish();
  const decode = await makeStatusDecoder();
  const status = decode(Buffer.from(bytes).toString('base64'));
  assert.equal(status.vertexes[0]?.seconds?.toFixed(3), '1.200');
  assert.deepEqual({ ...status.vertexes[1], seconds: null }, vertex('m', { digest: 'e', started: false }));
  assert.equal(Buffer.from(status.logs[0]?.bytes ?? []).toString(), 'hi');
  assert.deepEqual(decode(''), { vertexes: [], logs: [] });
});
