import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { APP_LOG_CHUNK_CHARACTERS, APP_LOG_LINE_BYTES } from '../../protocol/app-log.ts';
import type { AppLogPart, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ContainerState } from '../deployment/ports.ts';
import { names } from '../deployment/step.ts';
import { nanoseconds } from '../docker/container-log.ts';
import type { ContainerLogRequest, LogPiece } from '../docker/container-log.ts';
import { systemClock } from '../lib/clock.ts';
import { IDS } from '../deployment/test-job.ts';
import { makeAppLogs } from './app-logs.ts';

const A = '018f0000-0000-7000-8000-0000000000a1';
const B = '018f0000-0000-7000-8000-0000000000b1';
/** Just before all reads, so that lines at these times are history. */
const DAY = '2030-01-01T00:00:';

/** A time of that day, `n` ns after its start. */
const at = (n: number): string => `${DAY}00.${String(n).padStart(9, '0')}Z`;

/** A container's log as Docker keeps it. */
class Container {
  readonly pieces: LogPiece[] = [];
  readonly asked: ContainerLogRequest[] = [];
  running = true;
  environmentId: string = IDS.environment;
  fails: Error | null = null;
  #wake = Promise.withResolvers<void>();
  #time = 0;

  write(text: string, stream: LogPiece['stream'] = 'stdout', time = at((this.#time += 1))): void {
    this.pieces.push({ at: time, stream, bytes: Buffer.from(text) });
    this.#turn();
  }

  stop(): void {
    this.running = false;
    this.#turn();
  }

  async *read(request: ContainerLogRequest, signal: AbortSignal): AsyncGenerator<readonly LogPiece[]> {
    this.asked.push(request);
    const { since, tail, follow } = request;
    let next = tail === null ? 0 : Math.max(0, this.pieces.length - tail);
    for (;;) {
      const fresh = this.pieces.slice(next).filter((piece) => since === null || nanoseconds(piece.at) >= since);
      next = this.pieces.length;
      if (fresh.length > 0) yield fresh;
      if (this.fails !== null) throw this.fails;
      if (next < this.pieces.length) continue;
      if (!follow || !this.running || signal.aborted) return;
      await this.#wake.promise;
    }
  }

  #turn(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

interface Host {
  readonly containers: Map<string, Container>;
  live: string | null;
  open(request?: Partial<AppLogRequest>): Reader;
}

/** Collects the parts of a read. */
class Reader {
  readonly parts: AppLogPart[] = [];
  readonly read: AppLogRead;
  constructor(read: AppLogRead) {
    this.read = read;
  }

  /** Takes parts until there are enough lines, or the end. */
  async lines(count: number): Promise<string[]> {
    while (this.#all().length < count) {
      const part = await this.read.next();
      if (part === null) break;
      this.parts.push(part);
    }
    return this.#all();
  }

  #all(): string[] {
    return this.parts.flatMap(({ deploymentId, lines }) =>
      lines.map(({ text, stream }) => `${deploymentId === A ? 'A' : 'B'} ${stream === 'stderr' ? '! ' : ''}${text}`),
    );
  }
}

function host(t: TestContext, secrets: string[] = []): Host {
  const containers = new Map([[A, new Container()]]);
  const of = (name: string): Container | undefined => [...containers].find(([id]) => names.container(id) === name)?.[1];
  const logs = makeAppLogs({
    live: () => made.live,
    secrets: async () => secrets,
    containers: {
      async inspect(name) {
        const found = of(name);
        return (found ?? null) as ContainerState | null;
      },
    },
    openLog: async (name, request, signal) => of(name)?.read(request, signal) ?? null,
    // Time runs a hundred times as fast. Reads begin after all history, which is in the first half of the second.
    clock: {
      ...systemClock,
      now: () => Date.parse(`${DAY}00.500Z`),
      sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
    },
  });
  const made: Host = {
    containers,
    live: A,
    open(request = {}) {
      const read = logs.open({
        environmentId: IDS.environment,
        tail: 100,
        sinceSeconds: null,
        follow: true,
        after: [],
        ...request,
      });
      t.after(() => read.close());
      return new Reader(read);
    },
  };
  return made;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(1);
}

const container = (on: Host, id = A): Container => on.containers.get(id) ?? assert.fail();

test('a read without follow goes to the end of the log and gives the stream and the time of each line', async (t) => {
  const on = host(t);
  container(on).write('one\n');
  container(on).write('two\n', 'stderr');
  const reader = on.open({ follow: false });
  assert.deepEqual(await reader.lines(9), ['A one', 'A ! two']);
  assert.deepEqual(
    reader.parts.flatMap(({ lines }) => lines.map((line) => line.at)),
    [at(1), at(2)],
  );
});

test('a read fails with an error code of its own if nothing serves the environment or its container is gone', async (t) => {
  const on = host(t);
  on.live = null;
  await assert.rejects(on.open().lines(1), { code: 'ORK_APP_NOT_LIVE' });
  on.live = B;
  await assert.rejects(on.open({ follow: false }).lines(1), { code: 'ORK_APP_LOG_GONE' });
});

test('a follower survives a crash and a restart of the app and gets no line twice', async (t) => {
  const on = host(t);
  container(on).write('before\n');
  const reader = on.open();
  await reader.lines(1);
  container(on).write('last words\n', 'stderr');
  container(on).stop();
  container(on).write('down\n');
  await reader.lines(3);
  container(on).running = true;
  container(on).write('up again\n');
  assert.deepEqual(await reader.lines(4), ['A before', 'A ! last words', 'A down', 'A up again']);
});

test('a follower loses no line of a silent app that stops and writes again before the next look', async (t) => {
  const on = host(t);
  container(on).write('long ago\n');
  const reader = on.open({ tail: 0 });
  await until(() => container(on).asked.length === 1);
  container(on).stop();
  await new Promise(setImmediate); // the read of its log so far has ended
  container(on).write('while it was down\n', 'stdout', at(600_000_000));
  assert.deepEqual(await reader.lines(1), ['A while it was down']);
});

test('a follower reads the new version from its first line and the old version to its last across a deployment', async (t) => {
  const on = host(t);
  container(on).write('old 1\n');
  const reader = on.open({ tail: 1 });
  await reader.lines(1);
  const next = new Container();
  on.containers.set(B, next);
  next.write('starting\n');
  next.write('listening\n');
  on.live = B;
  assert.deepEqual((await reader.lines(3)).slice(1), ['B starting', 'B listening']);
  container(on).write('old drains\n');
  await reader.lines(4);
  container(on).write('old ends\n');
  container(on).stop();
  next.write('new goes on\n');
  assert.deepEqual((await reader.lines(6)).toSorted(), [
    'A old 1',
    'A old drains',
    'A old ends',
    'B listening',
    'B new goes on',
    'B starting',
  ]);
  assert.deepEqual(
    reader.parts.filter(({ lines }) => lines.length === 0).map(({ deploymentId }) => deploymentId),
    [A, B],
    'Each version is told of once, when its log begins.',
  );
  on.containers.delete(A);
  on.live = null;
  next.stop();
  assert.equal((await reader.lines(99)).length, 6, 'It ends when nothing serves there any more.');
});

test('an interrupted read resumes after its last line, and reads a version deployed meanwhile from its first line', async (t) => {
  const on = host(t);
  for (const text of ['1\n', '2\n', '3\n']) container(on).write(text);
  const same = on.open({ after: [{ deploymentId: A, at: at(2) }] });
  assert.deepEqual(await same.lines(1), ['A 3']);
  const next = new Container();
  next.write('first\n');
  on.containers.set(B, next);
  on.live = B;
  const both = on.open({ after: [{ deploymentId: A, at: at(1) }] });
  assert.deepEqual((await both.lines(3)).toSorted(), ['A 2', 'A 3', 'B first']);
});

test('a read never resumes with a version of another environment', async (t) => {
  const on = host(t);
  container(on).write('mine\n');
  const other = new Container();
  other.environmentId = IDS.project;
  other.write('of others\n');
  on.containers.set(B, other);
  const reader = on.open({ after: [{ deploymentId: B, at: at(0) }] });
  assert.deepEqual(await reader.lines(1), ['A mine']);
  await until(() => container(on).asked.length === 1);
  assert.deepEqual(other.asked, []);
});

test('a flood of lines with a slow reader uses bounded memory, and the reader learns how many lines were left out', async (t) => {
  const on = host(t);
  const reader = on.open();
  await until(() => container(on).asked.length === 1);
  const text = 'x'.repeat(99);
  const flood = 50_000;
  for (let n = 1; n <= flood; n += 1) container(on).write(`${text}\n`, 'stdout', at(500_000_000 + n));
  const first = await reader.lines(1);
  assert.ok(first.length * text.length <= APP_LOG_CHUNK_CHARACTERS, `${first.length} lines at once`);
  let [taken, leftOut] = [first.length, 0];
  while (taken + leftOut < flood) {
    const part = await reader.read.next();
    if (part === null) break;
    taken += part.lines.length;
    leftOut += part.leftOut;
  }
  assert.equal(taken + leftOut, flood);
  assert.ok(taken * text.length < 5 * APP_LOG_CHUNK_CHARACTERS, `${taken} lines were kept`);
});

test('a read leaves out no line of the existing log, however long the log is', async (t) => {
  const on = host(t);
  for (let n = 0; n < 5000; n += 1) container(on).write(`${String(n).padEnd(200, '.')}\n`);
  const reader = on.open({ tail: 10_000 });
  const lines = await reader.lines(5000);
  assert.equal(lines.length, 5000);
  assert.equal(
    reader.parts.reduce((sum, { leftOut }) => sum + leftOut, 0),
    0,
  );
});

test('a read redacts secrets, even where Docker split the line, and cuts a long line with a mark', async (t) => {
  const on = host(t, ['hunter2-hunter2']);
  container(on).write('password: hunter2-');
  container(on).write('hunter2!\n');
  container(on).write('y'.repeat(APP_LOG_LINE_BYTES + 5));
  container(on).write('z\n');
  const [first, second] = await on.open().lines(2);
  assert.equal(first, 'A password: [redacted]!');
  assert.equal(second, `A ${'y'.repeat(APP_LOG_LINE_BYTES)} [orkestr: line cut at ${APP_LOG_LINE_BYTES} bytes]`);
});

test("a read returns the lines it got and then fails with the engine's error code if the engine breaks off", async (t) => {
  const on = host(t);
  container(on).write('one\n');
  container(on).fails = new OrkestrError('ORK_ENGINE_UNREACHABLE', 'It broke off.');
  const reader = on.open();
  assert.deepEqual(await reader.lines(1), ['A one']);
  await assert.rejects(reader.lines(2), { code: 'ORK_ENGINE_UNREACHABLE' });
});
