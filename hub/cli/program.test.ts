import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import type { Command } from 'commander';
import { readConfig } from './config.ts';
import { makeContext } from './context.ts';
import { EXIT } from './exit.ts';
import { buildProgram } from './program.ts';

test('every command documents --json and examples in its help, and every example uses an existing command', () => {
  let help = '';
  const write = (chunk: unknown, _encoding: unknown, done: () => void): void => {
    help += String(chunk);
    done();
  };
  const terminal = { stdin: new PassThrough(), stdout: new Writable({ write }), stderr: new PassThrough() };
  const context = makeContext({
    terminal,
    config: readConfig({ XDG_CONFIG_HOME: '/nonexistent' }),
    cwd: '/',
    now: () => 0,
    onInterrupt: () => () => undefined,
  });
  const program = buildProgram(context, { exitCode: EXIT.ok });
  const leaves = leavesOf(program, []);
  const names = new Set(leaves.map(({ path }) => path));
  assert.ok(leaves.length >= 24, `found ${leaves.length} commands`);
  for (const { command, path } of leaves) {
    help = '';
    command.outputHelp();
    assert.match(help, /--json/, path);
    const examples = help.split('Examples:')[1] ?? '';
    const used = [...examples.matchAll(/\borkestr ([a-z-]+)(?: ([a-z-]+))?/g)];
    assert.ok(used.length > 0, `${path} has no example`);
    for (const [text, first, second] of used) {
      assert.ok(names.has(String(first)) || names.has(`${first} ${second}`), `${path}: ${text}`);
    }
  }
});

function leavesOf(command: Command, above: string[]): { command: Command; path: string }[] {
  if (command.commands.length === 0) return [{ command, path: above.join(' ') }];
  return command.commands.flatMap((child) => leavesOf(child, [...above, child.name()]));
}
