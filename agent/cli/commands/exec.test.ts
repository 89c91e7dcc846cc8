import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addExecCommand, commandOf } from './exec.ts';

/** App and command of these arguments. */
function parse(...args: string[]): [string, readonly string[]] | undefined {
  const cli = new Command().enablePositionalOptions().exitOverride();
  addExecCommand(cli);
  let seen: [string, readonly string[]] | undefined;
  cli.commands[0]?.action((app: string, words: string[]) => void (seen = [app, commandOf(words)]));
  cli.parse(['exec', ...args], { from: 'user' });
  return seen;
}

test('all words behind the app belong to the command, with and without --', () => {
  const rails = ['bin/rails', 'db:migrate', '--trace', '-h'];
  assert.deepEqual(parse('shop/production', '--', ...rails), ['shop/production', rails]);
  assert.deepEqual(parse('shop/production', ...rails), ['shop/production', rails]);
  assert.deepEqual(parse('shop/production', '--', 'git', '--', 'file'), ['shop/production', ['git', '--', 'file']]);
});

test('no command at all is a shell', () => {
  assert.deepEqual(parse('shop/production'), ['shop/production', ['sh']]);
  assert.deepEqual(parse('shop/production', '--'), ['shop/production', ['sh']]);
});
