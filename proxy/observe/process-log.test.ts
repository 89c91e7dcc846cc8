import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../clock.ts';
import { MAX_LINE_BYTES } from './log-sink.ts';
import { openProcessLog } from './process-log.ts';

/** Opens a new file or named pipe. */
function target(t: TestContext, kind: 'file' | 'pipe'): { path: string; fd: number } {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-log-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, kind);
  if (kind === 'pipe') assert.equal(spawnSync('mkfifo', ['--', path]).status, 0);
  const fd = openSync(path, kind === 'pipe' ? constants.O_RDWR | constants.O_NONBLOCK : 'a');
  t.after(() => closeSync(fd));
  return { path, fd };
}

/** Reads what is in a pipe now. */
function taken(fd: number): string {
  const bytes = Buffer.alloc(1_000_000);
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}

const parsed = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('lines keep their content; secrets are redacted, and a long line is truncated to valid JSON', async (t) => {
  const { path, fd } = target(t, 'file');
  const { log, close } = openProcessLog('info', systemClock, fd);
  log.info({ name: 'é😀', password: 'secret' }, 'one');
  log.error({ err: new Error('x'.repeat(9000)), list: Array.from({ length: 3000 }, () => 'é'), code: 'ORK' }, 'two');
  log.debug('not this one');
  await close();
  const text = readFileSync(path, 'utf8');
  const [one, two, ...more] = parsed(text);
  assert.deepEqual([one?.['name'], one?.['password'], one?.['msg'], more.length], ['é😀', '[Redacted]', 'one', 0]);
  assert.deepEqual([two?.['level'], two?.['msg'], two?.['code']], ['error', 'two', 'ORK']);
  assert.match(String(two?.['err']), /^\{"type":"Error","message":"xxx/);
  assert.ok(text.split('\n').every((line) => line.length < MAX_LINE_BYTES));
});

test('a log with a stuck reader drops lines without blocking, and reports how many are missing', async (t) => {
  const { fd } = target(t, 'pipe');
  const { log, close } = openProcessLog('info', systemClock, fd);
  const all = 5000;
  for (let number = 0; number < all; number += 1) log.info({ number }, 'x'.repeat(100));
  let text = '';
  // Each read makes room for more of the rest.
  for (let reports = 0; reports === 0; await new Promise((resolve) => setTimeout(resolve, 20))) {
    text += taken(fd);
    log.info({ number: all }, 'one more');
    reports = parsed(text).filter(({ dropped }) => dropped !== undefined).length;
  }
  await close();
  text += taken(fd);
  const lines = parsed(text);
  const numbers = lines.filter(({ number }) => (number as number) < all).length;
  const dropped = lines.reduce((sum, line) => sum + ((line['dropped'] as number | undefined) ?? 0), 0);
  assert.ok(dropped >= all - numbers && numbers < all, `${dropped} dropped, ${numbers} came`);
});
