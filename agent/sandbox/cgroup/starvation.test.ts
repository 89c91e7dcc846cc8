import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../test/harness/until.ts';
import type { BuildPriority } from './priority.ts';
import { idleMs, judgeStarvation, makeStarvationGuard, NOT_STARVED, type Sample } from './starvation.ts';

const CORES = 2;
const PATIENCE_MS = 10_000;
const quiet = { line: (): void => undefined };

/** Starvation after `looks` samples, 2 s apart, with builds getting `buildMs` and the host idling `restMs` in each. */
function after(looks: number, buildMs: number, restMs: number, starvation = NOT_STARVED): typeof NOT_STARVED {
  const at = (look: number): Sample => ({ atMs: look * 2000, buildMs: look * buildMs, idleMs: look * restMs });
  let now = starvation;
  for (let look = 1; look <= looks; look += 1) now = judgeStarvation(now, at(look - 1), at(look), CORES, PATIENCE_MS);
  return now;
}

test('builds that get almost nothing of a busy host get a share after the patience period, and not before', () => {
  assert.equal(after(4, 20, 0).insisting, false);
  assert.equal(after(5, 20, 0).insisting, true);
});

test('builds that make progress, and builds on a host with idle time, get no share', () => {
  assert.equal(after(20, 300, 0).insisting, false);
  assert.equal(after(20, 0, 500).insisting, false, 'they wait for something else than a processor');
});

test('the share stays while the host is busy and ends with the first idle time', () => {
  const starved = after(5, 20, 0);
  assert.equal(after(3, 800, 0, starved).insisting, true);
  assert.deepEqual(after(1, 800, 500, starved), NOT_STARVED);
});

test('idle time is read from the first line of /proc/stat', () => {
  assert.equal(idleMs('cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'), 45_000);
});

test('the guard runs until the last of the concurrent builds ends, and starts by yielding', async () => {
  const written: boolean[] = [];
  const priority: BuildPriority = {
    apply: () => assert.fail('that is for slots'),
    hurry: () => assert.fail('so is that'),
    insist: async (on) => void written.push(on),
    cpuMs: async () => 0,
  };
  const sleeps = { count: 0, ended: 0 };
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: (_ms: number, signal?: AbortSignal) => {
      sleeps.count += 1;
      return new Promise<void>((_, reject) =>
        signal?.addEventListener('abort', () => {
          sleeps.ended += 1;
          reject(signal.reason);
        }),
      );
    },
  };
  const guard = makeStarvationGuard(priority, clock);
  const [one, two] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const [first, second] = [guard.during(quiet, () => one.promise), guard.during(quiet, () => two.promise)];
  while (sleeps.count === 0) await new Promise(setImmediate);
  one.resolve('built');
  assert.equal(await first, 'built');
  assert.equal(sleeps.ended, 0);
  two.reject(new Error('broken'));
  await assert.rejects(second, /broken/);
  assert.equal(sleeps.ended, 1);
  assert.deepEqual(written, [false]);
});

test('a failed sample is reported once, and sampling goes on', async () => {
  const lines: string[] = [];
  const wakes: (() => void)[] = [];
  let looks = 0;
  const priority: BuildPriority = {
    apply: () => assert.fail('that is for slots'),
    hurry: () => assert.fail('so is that'),
    insist: async () => undefined,
    async cpuMs() {
      looks += 1;
      if (looks > 1 && looks < 4) throw new Error('EIO: i/o error');
      return 0;
    },
  };
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        wakes.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason));
      }),
  };
  const work = Promise.withResolvers<void>();
  const built = makeStarvationGuard(priority, clock).during({ line: (text) => lines.push(text) }, () => work.promise);
  await until(() => {
    wakes.shift()?.();
    return looks > 4;
  });
  work.resolve();
  await built;
  assert.deepEqual(lines, [
    'Whether apps leave this build a processor could not be seen, so it may be slow beside busy ones: Error: EIO: i/o error',
  ]);
});
