import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { EXIT, exitCodeOf } from './exit.ts';
import { readSecret } from './input.ts';

test('a typed secret is prompted for and not echoed', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const secret = readSecret({ stdin, stdout, stderr }, 'Password for ada: ');
  stdin.write('hunter2 and more\r');
  assert.equal(await secret, 'hunter2 and more');
  stdout.end();
  stderr.end();
  assert.equal(await text(stderr), 'Password for ada: \n');
  assert.equal(await text(stdout), '');
});

for (const [what, parts] of [
  ['at once', ['-----BEGIN KEY-----\rMII\r-----END KEY-----\r']],
  ['at once, without a newline at its end', ['-----BEGIN KEY-----\rMII']],
  ['line by line', ['-----BEGIN KEY-----\r', 'MII\r']],
] as const) {
  test(`a multi-line secret that is pasted ${what} is refused, because its first line alone is not the secret`, async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const nowhere = new PassThrough();
    const secret = readSecret({ stdin, stdout: nowhere, stderr: nowhere }, 'Value of KEY: ');
    for (const part of parts) {
      stdin.write(part);
      await nextTick();
    }
    await assert.rejects(secret, /multi-line value/);
  });
}

test('a piped secret is the whole input without its final newline', async () => {
  const stdin = new PassThrough();
  stdin.end('hunter2\n');
  const nowhere = new PassThrough();
  assert.equal(await readSecret({ stdin, stdout: nowhere, stderr: nowhere }, 'Password: '), 'hunter2');
});

test('Ctrl-C at a prompt exits with the code for an interrupt', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const nowhere = new PassThrough();
  const secret = readSecret({ stdin, stdout: nowhere, stderr: nowhere }, 'Password: ');
  stdin.write('half\u0003');
  const error = await secret.catch((thrown: unknown) => thrown);
  assert.equal(exitCodeOf(error), EXIT.interrupted);
});
