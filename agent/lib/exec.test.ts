import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec, ExecError, run } from './exec.ts';

const node = process.execPath;
const limits = { timeoutMs: 30_000 };

test('a program gets its arguments unchanged, without a shell', async () => {
  const odd = ['$(id)', '; touch x', '`y`', '*', "a'b"];
  const { stdout } = await exec(
    node,
    ['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', ...odd],
    limits,
  );
  assert.deepEqual(JSON.parse(stdout), odd);
});

test('exec passes the input and returns the exit code, stdout and stderr', async () => {
  const script =
    "process.stdin.on('data', (d) => { process.stdout.write(d); console.error('err'); process.exitCode = 3; })";
  const result = await exec(node, ['-e', script], { ...limits, input: 'in' });
  assert.deepEqual(result, { exitCode: 3, stdout: 'in', stderr: 'err\n', timedOut: false });
});

test('a program that does not read its input does not fail', async () => {
  const result = await exec(node, ['-e', '0'], { ...limits, input: 'x'.repeat(1_000_000) });
  assert.equal(result.exitCode, 0);
});

test('exec keeps only the end of long output', async () => {
  const { stdout } = await exec(node, ['-e', "process.stdout.write('a'.repeat(1e6) + 'end')"], {
    ...limits,
    maxOutputBytes: 1000,
  });
  assert.equal(stdout.length, 1000);
  assert.ok(stdout.endsWith('aend'));
});

test('a hanging program is killed at its time limit', async () => {
  const result = await exec(node, ['-e', 'setInterval(() => 0, 1000)'], { timeoutMs: 100 });
  assert.deepEqual([result.timedOut, result.exitCode], [true, null]);
});

test('an abort kills the program and rejects with its reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const work = exec(node, ['-e', "process.stdout.write('up'); setInterval(() => 0, 1000)"], {
    ...limits,
    signal: stop.signal,
    onOutput: () => stop.abort(reason),
  });
  await assert.rejects(work, reason);
  await assert.rejects(exec(node, ['-e', '0'], { ...limits, signal: stop.signal }), reason);
});

test('a program gets only the given environment', async () => {
  const { stdout } = await exec(node, ['-e', 'console.log(JSON.stringify(process.env))'], {
    ...limits,
    env: { ONLY: '1' },
  });
  assert.deepEqual(JSON.parse(stdout), { ONLY: '1' });
});

test('`run` throws on a non-zero exit code with the last output of the program', async () => {
  const failing = run(node, ['-e', "console.error('because'); process.exit(2)"], limits);
  await assert.rejects(
    failing,
    (error: unknown) => error instanceof ExecError && /exit code 2: because/.test(error.message),
  );
  await assert.rejects(run('/no/such/program', [], limits), /ENOENT/);
});

/** Runs in another process, which has few file descriptors. */
const STARVED = `
  import { closeSync, openSync } from 'node:fs';
  import { exec } from ${JSON.stringify(new URL('exec.ts', import.meta.url).href)};
  const start = () => exec('true', [], { timeoutMs: 30_000 }).then(({ exitCode }) => exitCode, ({ code }) => code);
  const before = await start();
  const taken = [];
  try {
    for (;;) taken.push(openSync('/dev/null'));
  } catch {}
  const starved = await start();
  for (const fd of taken) closeSync(fd);
  console.log(before, starved, await start());
`;

test('exec rejects without a free file descriptor, and this process survives', async () => {
  const argv = ['--nofile=64', '--', node, '--input-type=module', '-e', STARVED];
  const { stdout, stderr } = await exec('prlimit', argv, limits);
  assert.equal(stdout, '0 EMFILE 0\n', stderr);
});
