/** A client of the real protocol, with an engine that runs the commands as processes of this machine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Duplex } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { until } from '../../test/harness/until.ts';
import type { OrkestrError } from '../../protocol/errors.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { startAttached } from './attached-command.ts';
import { makeEngine } from './engine.ts';

const CONTAINER = 'orkestr-018f0000-0000-7000-8000-0000000000a1';

/** The fields of a request to prepare a command that matter here. */
interface Prepared {
  readonly Cmd: string[];
  readonly Tty: boolean;
  readonly AttachStdin: boolean;
  readonly DetachKeys?: string;
}

/** What the engine was asked, and how it stands. */
interface FakeEngine {
  readonly socketPath: string;
  readonly prepared: Prepared[];
  readonly sizes: string[];
  child: ChildProcess | undefined;
  /** How often it still answers that the command is only starting. */
  starting: number;
  /** Whether the container runs; null: it is removed. */
  isRunning: boolean | null;
}

const frame = (kind: number, payload: Buffer): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
};

/** Status and body of the engine's answer. */
async function answerTo(fake: FakeEngine, request: IncomingMessage): Promise<[number, unknown]> {
  const { pathname, search } = new URL(request.url ?? '', 'http://engine.invalid');
  switch (pathname.replace(/^\/v[\d.]+/, '')) {
    case '/version':
      return [200, { ApiVersion: '1.41', MinAPIVersion: '1.12' }];
    case `/containers/${CONTAINER}/exec`:
      if (fake.isRunning !== true) return [409, { message: 'is not running' }];
      fake.prepared.push((await json(request)) as Prepared);
      return [201, { Id: 'e1' }];
    case `/containers/${CONTAINER}/json`:
      return fake.isRunning === null ? [404, {}] : [200, { State: { Running: fake.isRunning } }];
    case '/exec/e1/resize':
      fake.sizes.push(search);
      return [200, {}];
    case '/exec/e1/json':
      if (fake.starting > 0) {
        fake.starting -= 1;
        return [200, { Running: true, Pid: 0, ExitCode: null }];
      }
      return fake.isRunning === null ? [404, {}] : [200, stateOf(fake.child)];
    default:
      return [500, { message: `not scripted: ${pathname}` }];
  }
}

function stateOf(child: ChildProcess | undefined) {
  const { signalCode = null, exitCode = null, pid = 0 } = child ?? {};
  const code = signalCode === null ? exitCode : 128 + constants.signals[signalCode];
  return { Running: code === null, Pid: pid, ExitCode: code };
}

async function startFakeEngine(t: TestContext): Promise<FakeEngine> {
  const socketPath = join(temporaryFolder(t), 's');
  const fake: FakeEngine = { socketPath, prepared: [], sizes: [], child: undefined, starting: 0, isRunning: true };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [status, body] = await answerTo(fake, request);
    response.writeHead(status).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    // The body of the request is in `head`, or follows.
    const missing = Number(request.headers['content-length']) - head.length;
    const start = (): void => serve(fake, socket);
    if (missing <= 0) start();
    else socket.once('data', start);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.after(() => {
    fake.child?.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
  });
  return fake;
}

/** Connects a process as the engine does: without a terminal in frames, with one as it is. */
function serve(fake: FakeEngine, socket: Duplex): void {
  const { Cmd, Tty } = fake.prepared.at(-1) ?? { Cmd: [], Tty: false };
  const child = spawn(Cmd[0] ?? '', Cmd.slice(1), { stdio: 'pipe' });
  fake.child = child;
  socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  socket.on('error', () => child.kill('SIGKILL')).pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (bytes: Buffer) => socket.write(Tty ? bytes : frame(1, bytes)));
  child.stderr.on('data', (bytes: Buffer) => socket.write(Tty ? bytes : frame(2, bytes)));
  child.on('close', () => socket.end());
}

/** Streams of a caller; a terminal if `terminal` is given. */
function caller(terminal?: { columns: number; rows: number }) {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    ...(terminal && { isTTY: true }),
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
  });
  const stdout = Object.assign(new PassThrough(), terminal && { isTTY: true, ...terminal });
  return { stdin, stdout, stderr: new PassThrough(), modes };
}

const node = (script: string): string[] => [process.execPath, '-e', script];

async function start(fake: FakeEngine, argv: string[], streams = caller()) {
  const engine = makeEngine({ socketPath: fake.socketPath });
  const command = await startAttached(engine, CONTAINER, argv, streams);
  const written = Promise.all([text(streams.stdout), text(streams.stderr)]);
  const end = command.end.finally(() => {
    streams.stdout.end();
    streams.stderr.end();
  });
  return { ...command, end, written };
}

test('a command gets stdin to its end, and its output and exit code come back', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller();
  const script = `let all = ''; process.stdin.on('data', (part) => all += part);
    process.stdin.on('end', () => { console.log(all.length); console.error('done'); process.exitCode = 7; });`;
  const run = await start(fake, node(script), streams);
  const input = 'x'.repeat(300_000);
  streams.stdin.end(input);
  assert.deepEqual(await run.end, { exitCode: 7, remark: null });
  assert.deepEqual(await run.written, ['300000\n', 'done\n']);
  assert.deepEqual(
    fake.prepared.map(({ Tty, AttachStdin, DetachKeys }) => ({ Tty, AttachStdin, DetachKeys })),
    [{ Tty: false, AttachStdin: true, DetachKeys: undefined }],
  );
  assert.deepEqual(streams.modes, []);
});

test('output larger than every buffer is complete, to a reader who is slow', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller();
  const engine = makeEngine({ socketPath: fake.socketPath });
  const { end } = await startAttached(engine, CONTAINER, node(`process.stdout.write('y'.repeat(3e6))`), streams);
  await until(() => streams.stdout.writableNeedDrain);
  const read = text(streams.stdout);
  assert.equal((await end).exitCode, 0);
  streams.stdout.end();
  assert.equal((await read).length, 3e6);
});

test('a command that needs no input ends although stdin stays open, and lets go of it', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller();
  const run = await start(fake, node('console.log(1)'), streams);
  assert.deepEqual(await run.end, { exitCode: 0, remark: null });
  assert.ok(streams.stdin.destroyed);
});

test('a terminal is raw while the command runs, and its size and later ones are passed on', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller({ columns: 120, rows: 40 });
  const run = await start(fake, node(`process.stdin.once('data', () => process.exit(0))`), streams);
  await until(() => fake.sizes.length === 1);
  assert.deepEqual(streams.modes, [true]);
  Object.assign(streams.stdout, { columns: 80, rows: 24 });
  streams.stdout.emit('resize');
  await until(() => fake.sizes.length === 2);
  streams.stdin.write('q');
  assert.equal((await run.end).exitCode, 0);
  assert.deepEqual(fake.sizes, ['?w=120&h=40', '?w=80&h=24']);
  assert.deepEqual(streams.modes, [true, false]);
  assert.equal(fake.prepared[0]?.Tty, true);
  assert.match(fake.prepared[0].DetachKeys ?? '', /^ctrl-/);
});

test('output to a file is not that of a terminal, even if stdin is one', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller({ columns: 80, rows: 24 });
  Object.assign(streams.stdout, { isTTY: false });
  const run = await start(fake, node(`console.log(1); console.error(2)`), streams);
  assert.equal((await run.end).exitCode, 0);
  assert.deepEqual(await run.written, ['1\n', '2\n']);
  assert.deepEqual(streams.modes, []);
});

test('a signal reaches the command, and the next one kills it', async (t) => {
  const fake = await startFakeEngine(t);
  const gentle = await start(fake, node(`setInterval(() => {}, 1000); console.log('up')`));
  await until(() => typeof fake.child?.pid === 'number');
  await gentle.signal('SIGTERM');
  assert.deepEqual(await gentle.end, { exitCode: 143, remark: null });

  const streams = caller();
  const script = `process.on('SIGTERM', () => console.log('no')); setInterval(() => {}, 1000); console.log('up')`;
  const engine = makeEngine({ socketPath: fake.socketPath });
  const stubborn = await startAttached(engine, CONTAINER, node(script), streams);
  let seen = '';
  streams.stdout.on('data', (part: Buffer) => (seen += part.toString()));
  await until(() => seen.includes('up'));
  await stubborn.signal('SIGTERM');
  await until(() => seen.includes('no'));
  await stubborn.signal('SIGTERM');
  assert.equal((await stubborn.end).exitCode, 137);
  await stubborn.signal('SIGTERM'); // it is over: nothing is signalled
});

test('a signal to a command that is only starting waits for it, and one that was never sent does not make the next a kill', async (t) => {
  const fake = await startFakeEngine(t);
  const early = await start(fake, node(`setInterval(() => {}, 1000)`));
  await until(() => typeof fake.child?.pid === 'number');
  fake.starting = 3;
  await early.signal('SIGTERM');
  assert.equal((await early.end).exitCode, 143);

  const late = await start(fake, node(`setInterval(() => {}, 1000)`));
  await until(() => fake.child?.exitCode === null && fake.child.signalCode === null);
  fake.starting = 1000;
  await late.signal('SIGTERM');
  fake.starting = 0;
  await late.signal('SIGTERM');
  assert.equal((await late.end).exitCode, 143);
});

test('a command whose output nobody reads any more is hung up on', async (t) => {
  const fake = await startFakeEngine(t);
  const streams = caller();
  const engine = makeEngine({ socketPath: fake.socketPath });
  const { end } = await startAttached(engine, CONTAINER, node(`setInterval(() => console.log('x'), 5)`), streams);
  streams.stdout.once('data', () => streams.stdout.destroy(new Error('EPIPE')));
  assert.equal((await end).exitCode, 129);
});

for (const isRunning of [false, null]) {
  test(`a container that is ${isRunning === null ? 'removed' : 'stopped'} while the command runs is named as the cause`, async (t) => {
    const fake = await startFakeEngine(t);
    const run = await start(fake, node('setInterval(() => {}, 1000)'));
    await until(() => typeof fake.child?.pid === 'number');
    fake.isRunning = isRunning;
    fake.child?.kill('SIGKILL');
    assert.deepEqual(await run.end, { exitCode: 137, remark: 'the container was stopped while the command ran' });
  });
}

test('a container that does not run is refused with its reason', async (t) => {
  const fake = await startFakeEngine(t);
  fake.isRunning = false;
  await assert.rejects(start(fake, ['true']), (error) => (error as OrkestrError).code === 'ORK_APP_EXITED');
});
