import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Commands, MOST_COMMAND_BYTES } from './commands.ts';

const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
const command = (name: string): string => line(`${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/${name}`);
const many = (count: number): string => Array.from({ length: count }, (_, n) => command(`branch-${n}`)).join('');

test('however a push is cut into chunks, its commands are counted and its objects are not', () => {
  const objects = 'x'.repeat(2 * MOST_COMMAND_BYTES);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 20 }), (sizes) => {
      const commands = new Commands();
      let rest = `${many(3)}0000`;
      for (const size of sizes) {
        assert.ok(commands.see(Buffer.from(rest.slice(0, size))));
        rest = rest.slice(size);
      }
      assert.ok(commands.see(Buffer.from(rest + objects)));
    }),
  );
});

test('commands without end are refused', () => {
  const commands = new Commands();
  const chunk = Buffer.from(many(100));
  const rounds = Math.floor(MOST_COMMAND_BYTES / chunk.length);
  for (let n = 0; n < rounds; n += 1) assert.ok(commands.see(chunk));
  assert.equal(commands.see(chunk), false);
});
