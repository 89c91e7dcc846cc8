import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { LogSink } from './log-sink.ts';
import { makeLogWriter } from './log-writer.ts';

const report = (dropped: number): string => `dropped ${dropped}\n`;
/** 100 bytes. */
const line = (index: number): string => `${String(index).padStart(99, '.')}\n`;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'orkestr-log-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A writer that keeps its writes pending until the test completes them. */
function makeStuckWriter(chunkBytes = 4096) {
  const asked: { text: string; done: (error: Error | null, written: number) => void }[] = [];
  const writer = {
    chunkBytes,
    write: (bytes: Buffer, from: number, length: number, done: (error: Error | null, written: number) => void) => {
      asked.push({ text: bytes.toString('latin1', from, from + length), done });
    },
    close: () => undefined,
  };
  return { writer, asked };
}

test('lines are written in order and complete, in chunks that end at a line', async () => {
  const { writer, asked } = makeStuckWriter();
  const sink = new LogSink(writer, report);
  for (let index = 0; index < 500; index += 1) sink.add(line(index));
  const closed = sink.close();
  let text = '';
  for (let next = asked.shift(); next; next = asked.shift()) {
    assert.match(next.text, /\n$/);
    assert.ok(next.text.length <= 4096);
    text += next.text;
    next.done(null, next.text.length);
  }
  await closed;
  assert.equal(text, Array.from({ length: 500 }, (_, index) => line(index)).join(''));
});

test('after a partial write the rest is written', async () => {
  const { writer, asked } = makeStuckWriter();
  const sink = new LogSink(writer, report);
  for (let index = 0; index < 3; index += 1) sink.add(line(index));
  const closed = sink.close();
  let text = '';
  for (let next = asked.shift(); next; next = asked.shift()) {
    const written = Math.min(next.text.length, 7);
    text += next.text.slice(0, written);
    next.done(null, written);
  }
  await closed;
  assert.equal(text, line(0) + line(1) + line(2));
});

test('a slow reader does not increase memory: lines are dropped and counted, and one line reports how many', async () => {
  const { writer, asked } = makeStuckWriter(65_536);
  const sink = new LogSink(writer, report);
  for (let index = 0; index < 5000; index += 1) sink.add(line(index));
  // Two buffers of 65,536 bytes hold 655 lines each.
  assert.equal(sink.dropped, 5000 - 2 * 655);
  assert.equal(asked.length, 1);
  let text = '';
  const pass = (): void => {
    for (let next = asked.shift(); next; next = asked.shift()) {
      text += next.text;
      next.done(null, next.text.length);
    }
  };
  pass();
  sink.add(line(9999));
  const closed = sink.close();
  pass();
  await closed;
  const lines = text.split('\n').slice(0, -1);
  assert.equal(lines.length, 2 * 655 + 2);
  assert.deepEqual(lines.slice(-2), ['dropped 3690', line(9999).trimEnd()]);
});

test('lines for a reader that has gone are lost and counted', async () => {
  const { writer, asked } = makeStuckWriter();
  const sink = new LogSink(writer, report);
  for (let index = 0; index < 3; index += 1) sink.add(line(index));
  const closed = sink.close();
  asked.shift()?.done(Object.assign(new Error('gone'), { code: 'EPIPE' }), 0);
  await closed;
  assert.equal(sink.dropped, 3);
});

test('closing waits for a stuck reader only for a limited time', { timeout: 60_000 }, async () => {
  const { writer } = makeStuckWriter();
  const sink = new LogSink(writer, report);
  sink.add(line(0));
  await sink.close();
});

test('every line is written to a file or counted as dropped', async (t) => {
  const path = join(folder(t), 'access.log');
  const fd = openSync(path, 'a');
  t.after(() => closeSync(fd));
  const sink = new LogSink(makeLogWriter(fd), report);
  for (let index = 0; index < 5000; index += 1) {
    sink.add(line(index));
    if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await sink.close();
  const lines = readFileSync(path, 'latin1').split('\n').slice(0, -1);
  assert.equal(lines.filter((one) => !one.startsWith('dropped')).length + sink.dropped, 5000);
});

/** Logging programs run in processes of their own: a stuck descriptor must not keep one from exiting. */
function spawnLogger(t: TestContext, lines: number, stdout: 'pipe' | number): ChildProcess {
  const program = `
    import { LogSink } from './log-sink.ts';
    import { makeLogWriter } from './log-writer.ts';
    const sink = new LogSink(makeLogWriter(1), (dropped) => 'dropped ' + dropped + '\\n');
    for (let index = 0; index < ${lines}; index += 1) sink.add(String(index).padStart(99, '.') + '\\n');
    await sink.close();
    process.stderr.write('dropped ' + sink.dropped);
    process.exit();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: ['ignore', stdout, 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** A named pipe, with a descriptor that keeps it open. */
function makePipe(t: TestContext): { path: string; fd: number } {
  const path = join(folder(t), 'pipe');
  assert.equal(spawnSync('mkfifo', ['--', path]).status, 0);
  const fd = openSync(path, 'r+');
  t.after(() => closeSync(fd));
  return { path, fd };
}

test("a socket, such as the journal's, gets every line", { timeout: 60_000 }, async (t) => {
  // Node gives a child a socket pair in place of a pipe.
  const child = spawnLogger(t, 600, 'pipe');
  const [text] = await Promise.all([readAll(child.stdout), once(child, 'exit')]);
  assert.equal(text, Array.from({ length: 600 }, (_, index) => line(index)).join(''));
});

test('a pipe gets every line', { timeout: 60_000 }, async (t) => {
  const { path, fd } = makePipe(t);
  const reader = spawn('head', ['-c', '60000', '--', path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => reader.kill('SIGKILL'));
  const child = spawnLogger(t, 600, fd);
  const [text] = await Promise.all([readAll(reader.stdout), once(child, 'exit')]);
  assert.equal(text, Array.from({ length: 600 }, (_, index) => line(index)).join(''));
});

test(
  'a process whose log is not read keeps running, loses only whole lines, and exits',
  { timeout: 60_000 },
  async (t) => {
    const { fd } = makePipe(t);
    const child = spawnLogger(t, 5000, fd);
    const [said, [code]] = await Promise.all([readAll(child.stderr), once(child, 'exit')]);
    assert.equal(code, 0);
    const dropped = Number(/^dropped (\d+)$/.exec(said)?.[1]);
    const bytes = Buffer.alloc(1_000_000);
    const text = bytes.toString('latin1', 0, readSync(fd, bytes));
    assert.match(text, /\n$/);
    const lines = text.split('\n').slice(0, -1);
    assert.deepEqual(
      lines,
      lines.map((_, index) => line(index).trimEnd()),
    );
    assert.ok(dropped > 0 && lines.length + dropped <= 5000);
  },
);

async function readAll(stream: Readable | null): Promise<string> {
  let text = '';
  for await (const bytes of stream ?? []) text += String(bytes);
  return text;
}
