/** Commands in a live container, with a real engine: `orkestr-agent exec`. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { agentArgv, agentEnv } from '../../../installer/stack/stack.ts';
import { runProgram } from '../../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../../installer/stack/run-program.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';

const SERVER = `
  import { createServer } from 'node:http';
  createServer((request, response) => response.end('up')).listen(process.env.PORT, '0.0.0.0');
  process.on('SIGTERM', () => process.exit(0));
`;
/** Prints one line to stderr and runs until it is ended. */
const ENDLESS = `console.error('started'); setInterval(() => {}, 1000);`;

export function exec(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = given();
    const manifest = { name: 'app', private: true, type: 'module', scripts: { start: 'node server.js' } };
    const files = { 'package.json': JSON.stringify(manifest), 'server.js': SERVER };
    project = await stack.createProject(files, { slug: 'commands', variables: { GREETING: 'hello' } });
    assert.equal((await project.deploy()).status, 'live');
  });

  /** Runs `orkestr-agent exec` for the app. */
  const run = (words: readonly string[], options: Parameters<typeof runProgram>[1] = {}): Promise<ProgramResult> =>
    runProgram([...agentArgv(), 'exec', 'commands/production', ...words], { ...options, env: agentEnv(stack.plan) });
  const node = (script: string): string[] => ['--', 'node', '-e', script];

  test('a command has the user, the variables and the folder of the app, and its exit code comes back', async () => {
    const script = `
      const { statSync } = require('node:fs');
      const isSame = statSync('/proc/1').uid === process.getuid();
      console.log(process.env.GREETING, process.env.ORKESTR_PROJECT, isSame, statSync('server.js').isFile());
      console.error('to stderr');
      process.exitCode = 7;`;
    assert.deepEqual(await run(node(script)), { code: 7, stdout: 'hello commands true true\n', stderr: 'to stderr\n' });
  });

  test('stdin reaches the command to its end, and large output comes back whole', async () => {
    const script = `
      let bytes = 0;
      process.stdin.on('data', (part) => (bytes += part.length));
      process.stdin.on('end', () => console.log('x'.repeat(500_000) + bytes));`;
    const { code, stdout } = await run(node(script), { input: 'line\n'.repeat(200_000) });
    assert.equal(code, 0);
    assert.equal(stdout, `${'x'.repeat(500_000)}1000000\n`);
  });

  test('a program that is not in the image is named, with exit code 127, or 126 from older engines', async () => {
    const { code, stdout } = await run(['--', 'no-such-program']);
    assert.ok(code === 127 || code === 126, `${code}`);
    assert.match(stdout, /no-such-program/);
  });

  test('without a command, exec runs a shell, which reads its script from stdin', async () => {
    const { code, stdout } = await run([], { input: 'echo "$GREETING"; exit 3\n' });
    assert.deepEqual([code, stdout], [3, 'hello\n']);
  });

  test('a caller at a terminal gives the command a terminal of the same size', async () => {
    const script = 'setTimeout(()=>{console.log(process.stdout.getWindowSize().join());process.exit(5)},1000)';
    const command = `stty rows 33 cols 77; exec ${agentArgv().join(' ')} exec commands/production -- node -e "${script}"`;
    const { code, stdout } = await runProgram(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...agentEnv(stack.plan), SHELL: '/bin/sh' },
    });
    assert.equal(code, 5);
    assert.match(stdout, /\b77,33\r/);
  });

  test('SIGTERM to the caller ends the command, which leaves nothing behind', async () => {
    const over = new AbortController();
    const { code } = await run(node(ENDLESS), { signal: over.signal, onProgress: () => over.abort() });
    assert.equal(code, 143);
    const list = `
      const { readdirSync, readFileSync } = require('node:fs');
      for (const pid of readdirSync('/proc').filter(Number)) console.log(readFileSync('/proc/' + pid + '/cmdline', 'utf8'));`;
    const { stdout } = await run(node(list));
    assert.match(stdout, /readdirSync/);
    assert.doesNotMatch(stdout, /setInterval/);
  });

  test('when a deployment replaces the container, its commands end, and the caller is told why', async () => {
    let deploying: ReturnType<TestProject['deploy']> | undefined;
    const { code, stderr } = await run(node(ENDLESS), {
      onProgress() {
        deploying ??= project.deploy({ 'server.js': `${SERVER}\n// second\n` });
      },
    });
    assert.equal(code, 137);
    assert.match(stderr, /the container was stopped while the command ran/);
    assert.equal((await deploying)?.status, 'live');
    const { stdout } = await run(node(`console.log(require('node:fs').readFileSync('server.js', 'utf8'))`));
    assert.match(stdout, /second/);
  });

  test('exec needs neither hub nor agent, and lists the live apps if another one is named', async () => {
    await stack.kill('agent');
    await stack.kill('hub');
    assert.equal((await run(['--', 'true'])).code, 0);
    const { code, stderr } = await stack.agentCli('exec', 'shop/production', 'true');
    assert.equal(code, 1);
    assert.match(stderr, /Live here: .*\bcommands\/production/);
  });
}
