import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Command } from 'commander';
import { buildProgram as buildAgentProgram } from '../../agent/cli/program.ts';
import { readConfig } from '../../hub/cli/config.ts';
import { makeContext } from '../../hub/cli/context.ts';
import { buildProgram } from '../../hub/cli/program.ts';
import { commandLinesIn, unknownWord } from './commands.ts';
import { readSource, repositoryFiles } from './sources.ts';

const context = makeContext({
  terminal: { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() },
  config: readConfig({ XDG_CONFIG_HOME: '/nonexistent' }),
  cwd: '/',
  now: () => 0,
  onInterrupt: () => () => undefined,
});
const PROGRAMS: Readonly<Record<string, Command>> = {
  orkestr: buildProgram(context, { exitCode: 0 }),
  'orkestr-agent': buildAgentProgram(),
};

test('every command and option of ours that the README and the docs name exists', () => {
  const pages = repositoryFiles().filter((file) => /^(?:README|docs\/[^/]+)\.md$/.test(file));
  const lines = pages.flatMap((file) => commandLinesIn(readSource(file)).map((line) => ({ file, ...line })));
  assert.ok(lines.length > 200, `${lines.length} lines were found`);
  const wrong = lines.flatMap(({ file, program, words }) => {
    const tree = PROGRAMS[program];
    const unknown = tree ? unknownWord(tree, words) : null;
    return unknown === null ? [] : [`${file}: ${program} ${words.join(' ')}: there is no ${unknown}`];
  });
  assert.deepEqual(wrong, []);
});

test('an unknown command or option is found anywhere in a command line', () => {
  const tree = new Command('orkestr');
  tree.command('hosts').command('add <name>').option('--json');
  const page =
    '```sh\n$ sudo orkestr hosts add vps --json # --none\nx | orkestr hosts ad vps\norkestr hosts add vps --jso >file\n```';
  assert.deepEqual(
    commandLinesIn(page).map(({ words }) => unknownWord(tree, words)),
    [null, 'ad', '--jso'],
  );
});

test('commands in sentences and tables are found, also when they go on in the next line', () => {
  const page =
    '```json\n"`orkestr no`"\n```\nRun `orkestr hosts\n  add vps`, or `sudo orkestr-agent leave` | `orkestr.json` | `git push orkestr main`';
  assert.deepEqual(commandLinesIn(page), [
    { program: 'orkestr', words: ['hosts', 'add', 'vps'] },
    { program: 'orkestr-agent', words: ['leave'] },
  ]);
});
