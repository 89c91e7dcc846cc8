import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeLine } from './safe-text.ts';

test('colours are kept and reset at the end of the line; without colours nothing of them is left', () => {
  assert.equal(safeLine('\u001b[1;31mred\u001b[0m plain', true), '\u001b[1;31mred\u001b[0m plain\u001b[0m');
  assert.equal(safeLine('\u001b[1;31mred\u001b[0m plain', false), 'red plain');
  assert.equal(safeLine('plain\ttext ✓ ü', true), 'plain\ttext ✓ ü');
});

for (const [what, line] of [
  ['moves the cursor', 'a\u001b[2J\u001b[1;1Hb'],
  ['sets the window title', 'a\u001b]0;title\u0007b'],
  ['writes the clipboard', 'a\u001b]52;c;ZXZpbA==\u001b\\b'],
  ['makes a link', 'a\u001b]8;;http://evil.invalid\u001b\\\u001b]8;;\u001b\\b'],
  ['sends a device string', 'a\u001bP1$r\u001b\\b'],
  ['resets the terminal', 'a\u001bcb'],
  ['uses C1 controls, bell and backspace', 'a\u009b\u0007\u0008b'],
] as const) {
  test(`an escape sequence that ${what} does not reach the terminal`, () => {
    assert.equal(safeLine(line, true), 'ab');
  });
}

test('an unterminated sequence removes the rest of its line, and no escape character is left', () => {
  assert.ok(!safeLine('a\u001b]0;never ends', true).includes('\u001b'));
  assert.ok(!safeLine('a\u001b[12', true).includes('\u001b'));
});
