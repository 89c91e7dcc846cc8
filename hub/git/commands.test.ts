import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Commands, MAX_COMMAND_BYTES } from './commands.ts';

const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
const command = (name: string): string => line(`${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/${name}`);
const many = (count: number): string => Array.from({ length: count }, (_, n) => command(`branch-${n}`)).join('');

test('commands of a push are counted and its objects are not, however the stream is split into chunks', () => {
  const objects = 'x'.repeat(2 * MAX_COMMAND_BYTES);
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

test('an endless list of commands is refused', () => {
  const commands = new Commands();
  const chunk = Buffer.from(many(100));
  const rounds = Math.floor(MAX_COMMAND_BYTES / chunk.length);
  for (let n = 0; n < rounds; n += 1) assert.ok(commands.see(chunk));
  assert.equal(commands.see(chunk), false);
});

test('a push that only deletes refs is recognised by its commands, however they are split', () => {
  const remove = line(`${'a'.repeat(40)} ${'0'.repeat(40)} refs/heads/old\0report-status`);
  const cases = [
    [`${remove}${remove}0000`, true],
    [`${remove}${command('new')}0000`, false],
    [`${line('push-cert\0report-status')}0000`, false],
    ['0000', true],
  ] as const;
  for (const [text, expected] of cases) {
    for (const size of [1, 7, 1000]) {
      const commands = new Commands();
      for (let at = 0; at < text.length; at += size) commands.see(Buffer.from(text.slice(at, at + size)));
      assert.ok(commands.isOver);
      assert.equal(commands.deletesOnly, expected, text);
    }
  }
});
