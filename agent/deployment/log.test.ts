import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { StepName } from '../../protocol/steps.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { DEFAULT_LOG_LIMITS, logPath, makeDeploymentLogs } from './log.ts';
import type { DeploymentLogs, LogLimits } from './log.ts';

const ID = '018f0000-0000-7000-8000-000000000001';

interface Bench {
  readonly logs: DeploymentLogs;
  readonly ranges: { offset: number; length: number }[];
  readonly folder: string;
  readonly text: (step?: StepName) => string;
  /** Checks that the ranges follow each other without gap or overlap and end where the file ends. */
  readonly checkRanges: (step?: StepName) => void;
}

function bench(t: TestContext, limits: Partial<LogLimits> = {}): Bench {
  const folder = temporaryFolder(t);
  const ranges: { offset: number; length: number }[] = [];
  const ends = new Map<string, number>();
  const index = {
    logEnd: (_id: string, step: StepName) => ends.get(step) ?? 0,
    addLogRange(_id: string, step: StepName, offset: number, length: number) {
      assert.equal(offset, ends.get(step) ?? 0, 'no byte is lost or given twice');
      ranges.push({ offset, length });
      ends.set(step, offset + length);
    },
  };
  const text = (step: StepName = 'build'): string => readFileSync(logPath(folder, ID, step), 'utf8');
  return {
    logs: makeDeploymentLogs({ folder, index, limits: { ...DEFAULT_LOG_LIMITS, ...limits }, log: silent }),
    ranges,
    folder,
    text,
    checkRanges: (step = 'build') => assert.equal(ends.get(step) ?? 0, statSync(logPath(folder, ID, step)).size),
  };
}

test('the log stores bytes unchanged, even if they are not text', (t) => {
  const { logs, folder, checkRanges } = bench(t);
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
  const log = logs.open(ID, 'build', []);
  log.write(bytes);
  log.close();
  assert.deepEqual(readFileSync(join(folder, ID, 'build.log')), bytes);
  assert.deepEqual(logs.read(ID, 'build', 10, 20), bytes.subarray(10, 30));
  assert.equal(logs.read(ID, 'clone', 0, 10).length, 0);
  checkRanges();
});

test("orkestr's own lines never run into a line of the program", (t) => {
  const { logs, text } = bench(t);
  const log = logs.open(ID, 'build', []);
  log.write(Buffer.from('half a line'));
  log.line('ours');
  log.line('ours again');
  log.close();
  assert.equal(text(), 'half a line\nours\nours again\n');
});

test('an endless log is cut with a mark at the limit of the deployment, and a later step can still write', (t) => {
  const { logs, text, checkRanges } = bench(t, { deploymentBytes: 10_000, stepReserveBytes: 500 });
  const build = logs.open(ID, 'build', []);
  for (let index = 0; index < 1000; index++) build.write(Buffer.from(`${'y'.repeat(99)}\n`));
  build.close();
  assert.ok(text().length < 10_200);
  assert.match(text(), /the log limit is reached, the rest is not kept\]\n$/);
  checkRanges();
  const health = logs.open(ID, 'health', []);
  health.line('the port never opened');
  health.close();
  assert.equal(text('health'), 'the port never opened\n');
});

test('a line of many megabytes is cut with a mark, and the next line is complete', (t) => {
  const { logs, text, checkRanges } = bench(t, { lineBytes: 1000 });
  const log = logs.open(ID, 'build', []);
  for (let index = 0; index < 64; index++) log.write(Buffer.alloc(1_000_000, 'x'));
  log.write(Buffer.from('\nnext\n'));
  log.close();
  assert.equal(text(), `${'x'.repeat(1000)} [orkestr: line cut at 1000 bytes]\nnext\n`);
  checkRanges();
});

test('a log that cannot be opened fails nothing, and later notes how many bytes it lacks', (t) => {
  const { logs, folder, text, checkRanges } = bench(t, { flushBytes: 1 });
  // As on a disk that has run out of inodes: no folder can be created.
  rmSync(folder, { recursive: true });
  writeFileSync(folder, '');
  const log = logs.open(ID, 'build', []);
  log.line('not kept');
  rmSync(folder);
  log.line('kept');
  log.close();
  assert.equal(text(), '\n[orkestr: 9 bytes of log could not be written]\nkept\n');
  checkRanges();
});

test('a log that is opened again appends at the end of the file', (t) => {
  const { logs, text, checkRanges } = bench(t);
  for (const line of ['one', 'two', 'three']) {
    const log = logs.open(ID, 'build', []);
    log.line(line);
    log.close();
  }
  assert.equal(text(), 'one\ntwo\nthree\n');
  checkRanges();
});

test('bytes that a crash left unindexed in the file are indexed when the log is opened again', (t) => {
  const { logs, folder, checkRanges, ranges } = bench(t);
  const log = logs.open(ID, 'build', []);
  log.line('handed over');
  log.close();
  appendFileSync(logPath(folder, ID, 'build'), 'written, then the power went\n');
  logs.open(ID, 'build', []).close();
  checkRanges();
  assert.equal(ranges.length, 2);
});

test('bytes lost in a power cut are replaced by a mark of the same length, so no offset is used twice', (t) => {
  const { logs, folder, text, checkRanges } = bench(t);
  const log = logs.open(ID, 'build', []);
  log.line('x'.repeat(200));
  log.close();
  truncateSync(logPath(folder, ID, 'build'), 50);
  const again = logs.open(ID, 'build', []);
  again.line('next');
  again.close();
  assert.match(text(), /\[orkestr: 151 bytes of log were lost in a crash\]\nnext\n$/);
  assert.equal(text().length, 201 + 5);
  checkRanges();
});

test('output is indexed while the program still runs', async (t) => {
  const { logs, ranges } = bench(t, { flushMs: 1 });
  const log = logs.open(ID, 'build', []);
  log.line('first');
  while (ranges.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(ranges, [{ offset: 0, length: 6 }]);
  log.close();
});

test('a secret that is split across two writes does not reach the file', (t) => {
  const { logs, text } = bench(t);
  const log = logs.open(ID, 'build', ['s3cret-value']);
  log.write(Buffer.from('token=s3cret'));
  log.write(Buffer.from('-value\n'));
  log.line('again s3cret-value');
  log.close();
  assert.equal(text(), 'token=[redacted]\nagain [redacted]\n');
});
