import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uninstall } from './cleanup.ts';
import type { Cleanup } from './cleanup.ts';

/** The results of three parts, one of which may fail; and which parts ran. */
async function told(failing: string | null): Promise<{ ran: readonly string[]; levels: readonly string[] }> {
  const ran: string[] = [];
  const part = (what: string, isNeededToGoOn?: true): Cleanup => ({
    what,
    ...(isNeededToGoOn && { isNeededToGoOn }),
    async run() {
      ran.push(what);
      if (what === failing) throw new Error('It is in the way.');
      return 'gone';
    },
  });
  const results = await uninstall([part('units'), part('users'), part('programs', true)], () => undefined);
  return { ran, levels: results.map(({ level }) => level) };
}

test('a failed cleanup does not stop the others, but the programs stay so that uninstall can run again', async () => {
  assert.deepEqual(await told(null), { ran: ['units', 'users', 'programs'], levels: ['done', 'done', 'done'] });
  assert.deepEqual(await told('units'), { ran: ['units', 'users'], levels: ['failed', 'done', 'warning'] });
});
