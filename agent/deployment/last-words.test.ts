import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerOf } from './test-container.ts';
import { removeWithWords, retire } from './last-words.ts';
import type { ContainerState, Ports } from './ports.ts';
import { aContext } from './test-context.ts';
import { IDS } from './test-job.ts';
import { scripted } from './test-ports.ts';

/** A container that ends in this way, and the calls that it gets. */
function ending(state: Partial<ContainerState>, lines: readonly string[] | Error) {
  const calls: string[] = [];
  const containers = scripted<Ports['containers']>('containers', {
    stop: async () => void calls.push('stop'),
    inspect: async () => ({ ...containerOf(IDS.previous), running: false, exitCode: 0, ...state }),
    tail: async () => (lines instanceof Error ? Promise.reject(lines) : lines),
    variables: async () => ['old secret', '/usr/bin'],
    stopAndRemove: async () => void calls.push('remove'),
  });
  const context = aContext({ ports: { containers } });
  return { context, calls, told: context.lines };
}

const SAID = ['listening', 'key: old secret', 'fatal: boom'];
const WORDS = '  app: listening\n  app: key: [redacted]\n  app: fatal: boom';

test('a container that never served leaves its last lines in the log, read after it has stopped', async () => {
  const { context, calls, told } = ending({}, SAID);
  await removeWithWords(context, 'c', 10);
  // The job's own secrets are redacted by the step log.
  assert.deepEqual(told, [`what the app wrote last:\n${WORDS.replace('[redacted]', 'old secret')}`]);
  assert.deepEqual(calls, ['stop', 'remove']);
});

test('an old version leaves its last lines only after an unclean exit, and without the values of its variables', async () => {
  for (const exitCode of [0, 143, 130]) {
    const well = ending({ exitCode }, SAID);
    await retire(well.context, 'c', 10);
    assert.deepEqual([well.told, well.calls], [[], ['stop', 'remove']]);
  }
  for (const [state, how] of [
    [{ exitCode: 1 }, 'exited with code 1'],
    [{ exitCode: 137 }, 'was ended by signal SIGKILL (exit code 137)'],
    [{ exitCode: 137, oomKilled: true }, 'was killed for its memory limit'],
  ] as const) {
    const ill = ending(state, SAID);
    await retire(ill.context, 'c', 10);
    assert.deepEqual([ill.told, ill.calls], [[`it ${how}; what it wrote last:\n${WORDS}`], ['stop', 'remove']]);
  }
});

test('last lines are bounded, and a container is removed even if its lines cannot be read', async () => {
  const long = ending(
    {},
    Array.from({ length: 200 }, () => 'x'.repeat(2000)),
  );
  await removeWithWords(long.context, 'c', 10);
  assert.ok((long.told[0]?.length ?? 0) < 40_000);
  const silent = ending({}, new Error('the engine is busy'));
  await removeWithWords(silent.context, 'c', 10);
  assert.deepEqual(silent.calls, ['stop', 'remove']);
  assert.match(silent.told[0] ?? '', /could not be read: the engine is busy/);
});
