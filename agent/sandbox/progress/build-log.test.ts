import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs/light.js';
import { BuildLog } from './build-log.ts';
import { type BuildStatus, makeStatusDecoder, type Vertex } from './build-status.ts';
import { MIB } from '../../../protocol/size.ts';

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
  logs: [{ vertex: name, at: null, bytes: Buffer.from(text) }],
  transfers: [],
});
const news = (...vertexes: Vertex[]): BuildStatus => ({ vertexes, logs: [], transfers: [] });

/** Numbers in the list are passing time, ms. */
function record(happens: readonly (BuildStatus | number)[]): { text: string; log: BuildLog } {
  let text = '';
  let time = 0;
  const sink = {
    write: (bytes: Uint8Array) => void (text += Buffer.from(bytes).toString()),
    line: (line: string) => void (text += `${line}\n`),
  };
  const log = new BuildLog(sink, () => time);
  for (const one of happens) {
    if (typeof one === 'number') time += one;
    else log.take(one);
  }
  log.end();
  return { text, log };
}

test('each command has its line as a heading, followed by its output and its duration', () => {
  const run = '[2/3] RUN npm ci';
  const { text } = record([
    news(vertex('[internal] load build context'), vertex('[1/3] FROM node', { seconds: 0.1 })),
    news(vertex(run)),
    news(vertex(run)),
    output(run, 'added 3 packages'),
    news(vertex(run, { seconds: 2.34 })),
    news(vertex('[3/3] COPY . .', { cached: true, seconds: 0 })),
  ]);
  assert.equal(text, '[2/3] RUN npm ci\nadded 3 packages\ndone in 2.3 s\n[3/3] COPY . . (cached)\n');
});

test('output that arrives together with the end of its command precedes the end', () => {
  const run = '[1/1] RUN a';
  const { text } = record([
    {
      vertexes: [vertex(run, { seconds: 1 })],
      logs: [{ vertex: run, at: null, bytes: Buffer.from('x\n') }],
      transfers: [],
    },
  ]);
  assert.equal(text, '[1/1] RUN a\nx\ndone in 1.0 s\n');
});

test('while two stages run, each line names its stage and no line is split', () => {
  const [a, b] = ['[a 1/2] RUN a', '[b 1/1] RUN b'];
  const { text } = record([
    news(vertex(a), vertex(b)),
    output(a, 'one '),
    output(b, 'two\nthr'),
    output(a, 'line\n'),
    output(b, 'ee\n'),
    news(vertex(b, { seconds: 2 })),
    output(a, 'alone\n'),
    output(a, 'still\n'),
    news(vertex(a, { seconds: 3 })),
  ]);
  assert.equal(
    text,
    [
      a,
      b,
      '[b 1/1] two',
      '[a 1/2] one line',
      '[b 1/1] three',
      '[b 1/1] done in 2.0 s',
      `${a} …`,
      'alone',
      'still',
      'done in 3.0 s',
      '',
    ].join('\n'),
  );
});

test('a progress bar becomes one line in its last state, and colours are kept', () => {
  const run = '[1/1] RUN a';
  const { text } = record([
    news(vertex(run)),
    output(run, '10%\r'),
    output(run, '\r 20%'),
    output(run, '\r\u001B[32m100%\u001B[0m\r\nnext\r\n'),
    output(run, '5'),
    output(run, '%\r99%\r'),
    news(vertex(run, { seconds: 1 })),
  ]);
  assert.equal(text, `${run}\n\u001B[32m100%\u001B[0m\nnext\n99%\ndone in 1.0 s\n`);
});

test('a long-running progress bar is logged at intervals', () => {
  const run = '[1/1] RUN a';
  const bar = Array.from({ length: 100 }, (_, percent) => [output(run, `\r${percent} %`), 120]).flat();
  const { text } = record([news(vertex(run)), ...bar]);
  assert.equal(text, `${run}\n42 %\n84 %\n99 %\n`);
});

test('an endless progress bar does not fill the memory', () => {
  const run = '[1/1] RUN a';
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const bar = Array.from({ length: 2000 }, () => output(run, `\r${'x'.repeat(50_000)}`));
  const { text } = record([news(vertex(run)), ...bar, output(run, '\rend\n')]);
  assert.equal(text, `${run}\nend\n`);
  const used = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before;
  assert.ok(used < 250e6, `${used} bytes`);
});

test('an endless line is logged in pieces', () => {
  const run = '[1/1] RUN a';
  const piece = 'x'.repeat(40_000);
  const { text } = record([news(vertex(run)), output(run, piece), output(run, piece), output(run, piece)]);
  assert.equal(text, `${run}\n${piece.repeat(3)}\n`);
});

test('internal work of BuildKit is logged if it takes long, with the amount of data transferred', () => {
  const [load, pull] = ['[internal] load build context', '[1/2] FROM docker.io/library/node'];
  const transfer = (name: string, id: string, current: number, total: number): BuildStatus => ({
    vertexes: [],
    logs: [],
    transfers: [{ vertex: name, id, current: current * MIB, total: total * MIB }],
  });
  const { text } = record([
    news(vertex(load), vertex(pull)),
    transfer(load, 'context', 3, 0),
    news(vertex(load, { seconds: 0.7 })),
    transfer(pull, 'a', 10, 20),
    transfer(pull, 'b', 5, 20),
    6000,
    transfer(pull, 'b', 10, 20),
    transfer(pull, 'b', 15, 20),
    news(vertex(pull, { seconds: 8 }), vertex('exporting to image', { seconds: 0.1 })),
  ]);
  assert.equal(
    text,
    [
      'load build context: 3 MiB in 0.7 s',
      '[1/2] FROM docker.io/library/node: 20 MiB of 40 MiB …',
      '[1/2] FROM docker.io/library/node: 25 MiB of 40 MiB in 8.0 s',
      '',
    ].join('\n'),
  );
});

test('the finished commands are kept for the summary', () => {
  const { log } = record([
    news(vertex('[1/3] FROM a', { seconds: 1 }), vertex('[2/3] RUN a', { cached: true, seconds: 0 })),
    news(vertex('[3/3] RUN b')),
    news(vertex('[3/3] RUN b', { seconds: 4 })),
    news(vertex('[3/3] RUN b', { seconds: 4 })),
  ]);
  assert.deepEqual(log.steps, [
    { name: '[2/3] RUN a', cached: true, seconds: 0 },
    { name: '[3/3] RUN b', cached: false, seconds: 4 },
  ]);
});

test('a failed command is kept with its last lines, truncated', () => {
  const run = '[2/2] RUN make';
  const noise = Array.from({ length: 5000 }, (_, index) => `line ${index}`).join('\n');
  const { log } = record([
    news(vertex(run)),
    output(run, `${noise}\n${'x'.repeat(2000)}\n`),
    news(vertex(run, { seconds: 1, error: 'exit code: 2' })),
  ]);
  const failed = log.failed;
  assert.equal(failed?.command, 'RUN make');
  assert.equal(failed?.lastLines.length, 25);
  assert.deepEqual(failed?.lastLines.slice(-2), ['line 4999', `${'x'.repeat(499)}…`]);
});

test('the last lines of a failed command leave out a line whose start was dropped', () => {
  const run = '[2/2] RUN make';
  const { log } = record([
    news(vertex(run)),
    output(run, `${'secret'.repeat(5000)}\nlast\n`),
    news(vertex(run, { seconds: 1, error: 'exit code: 2' })),
  ]);
  assert.deepEqual(log.failed?.lastLines, ['last']);
});

test('bytes that are not text pass unchanged', () => {
  const chunks: Uint8Array[] = [];
  const log = new BuildLog({ write: (bytes) => void chunks.push(bytes), line: () => undefined }, () => 0);
  const bytes = Buffer.from([0, 255, 10]);
  log.take({ vertexes: [vertex('[1/1] RUN a')], logs: [{ vertex: '[1/1] RUN a', at: null, bytes }], transfers: [] });
  assert.deepEqual(Buffer.concat(chunks), bytes);
});

test("the decoder reads the engine's messages and skips unused fields", async () => {
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
      P: {
        fields: {
          id: { type: 'string', id: 1 },
          vertex: { type: 'string', id: 2 },
          name: { type: 'string', id: 3 },
          current: { type: 'int64', id: 4 },
          total: { type: 'int64', id: 5 },
        },
      },
      S: {
        fields: {
          p: { rule: 'repeated', type: 'P', id: 2 },
          v: { rule: 'repeated', type: 'V', id: 1 },
          l: { rule: 'repeated', type: 'L', id: 3 },
        },
      },
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
      p: [{ id: 'sha256:1', vertex: 'd', name: 'downloading', current: 7, total: 9 }],
    })
    .finish();
  const decode = await makeStatusDecoder();
  const status = decode(Buffer.from(bytes).toString('base64'));
  assert.equal(status.vertexes[0]?.seconds?.toFixed(3), '1.200');
  assert.deepEqual({ ...status.vertexes[1], seconds: null }, vertex('m', { digest: 'e', started: false }));
  assert.equal(Buffer.from(status.logs[0]?.bytes ?? []).toString(), 'hi');
  assert.deepEqual(status.transfers, [{ vertex: 'd', id: 'sha256:1', current: 7, total: 9 }]);
  assert.deepEqual(decode(''), { vertexes: [], logs: [], transfers: [] });
});

const failedCommand = ({ failed }: BuildLog): string | undefined => failed?.command;

test('a build that the engine repeats reports what fails then, and not what was lost before', () => {
  const log = new BuildLog({ write: () => undefined, line: () => undefined }, () => 0);
  const [install, check] = ['[2/3] RUN npm ci', '[3/3] RUN npm test'];
  log.take(news(vertex(install, { seconds: 1, error: 'no active session' })));
  log.again();
  assert.equal(failedCommand(log), undefined);
  log.take(news(vertex(install, { seconds: 2 })));
  log.take(news(vertex(check, { seconds: 3, error: 'exit code: 1' })));
  assert.equal(failedCommand(log), 'RUN npm test');
  assert.deepEqual(
    log.steps.map(({ name }) => name),
    [install],
  );
});
