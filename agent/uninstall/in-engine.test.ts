import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { uninstall } from './cleanup.ts';
import type { CleanupResult } from './cleanup.ts';
import { inEngine } from './in-engine.ts';

const away = (): Promise<never> => Promise.reject(new OrkestrError('ORK_ENGINE_UNREACHABLE', 'not reachable'));

/** The results of three parts, the second of which works in the engine. */
const told = (work: () => Promise<string>, isInstalled: boolean): Promise<readonly CleanupResult[]> =>
  uninstall(
    [
      { what: 'before', run: async () => 'gone' },
      { what: 'engine', run: () => inEngine(work, () => isInstalled) },
      { what: 'after', run: async () => 'gone' },
    ],
    () => undefined,
  );

const levels = (results: readonly CleanupResult[]): string[] => results.map(({ level }) => level);

test('an engine that is no longer installed blocks no removal, and its owner gets a warning', async () => {
  const results = await told(away, false);
  assert.deepEqual(levels(results), ['done', 'warning', 'done']);
  assert.match(results[1]?.told ?? '', /no longer installed/);
});

test('an engine that is only down is a failure with a fix, because its contents would come back', async () => {
  const results = await told(away, true);
  assert.deepEqual(levels(results), ['done', 'failed', 'done']);
  assert.match(results[1]?.told ?? '', /is not running.*systemctl start docker/);
});

test('an error other than an unreachable engine is a failure, even if the engine is not installed', async () => {
  const hangs = (): Promise<never> => Promise.reject(new OrkestrError('ORK_ENGINE_TIMEOUT', 'It hangs.'));
  assert.deepEqual(levels(await told(hangs, false)), ['done', 'failed', 'done']);
});
