/** How a build fails. Needs what builder.machine.test.ts sets up. */
import assert from 'node:assert/strict';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEBIAN } from '../../../test/harness/builder.ts';
import type { Builds } from './test-builds.ts';
import { failure } from './test-builds.ts';
import { MIB } from '../../../protocol/size.ts';

export function buildFailures(builds: () => Builds): void {
  test('a failing command is reported with its exit code and last lines', async () => {
    const error = await failure(builds().build([`FROM ${DEBIAN}`, 'RUN echo why; exit 7']));
    assert.equal(error.code, 'ORK_BUILD_FAILED');
    assert.match(error.message, /`RUN echo why; exit 7` ended with exit code 7/);
    assert.ok(error.evidence.includes('why'));
  });

  test('running out of memory is reported with the limit, even if the command hides it', async () => {
    const error = await failure(builds().build([`FROM ${DEBIAN}`, 'RUN tail /dev/zero || exit 1']));
    assert.equal(error.code, 'ORK_BUILD_MEMORY', error.message);
    assert.match(error.message, /limit 256 MiB, peak 256 MiB, in `RUN tail \/dev\/zero/);
    // The next build starts with fresh counters.
    const next = await failure(builds().build([`FROM ${DEBIAN}`, 'RUN exit 1']));
    assert.equal(next.code, 'ORK_BUILD_FAILED', next.message);
  });

  test('a fork bomb is stopped by the limit on processes', async () => {
    const script = 'for i in $(seq 400); do sleep 30 & done; wait';
    const error = await failure(
      builds().build([`FROM ${DEBIAN}`, `RUN bash -c '${script}'`], { limits: { pids: 64, timeoutSeconds: 20 } }),
    );
    assert.equal(error.code, 'ORK_BUILD_PROCESSES');
    assert.match(error.message, /too many processes: limit 64, in `RUN bash/);
    await builds().assertNothingRuns();
  });

  test('a build that fills its disk fails with limit and command, and its space is freed', async () => {
    const held = async (): Promise<number> =>
      (await stat(join(builds().builder.files.stateDirectory, 'a', 'disk.img'))).blocks * 512;
    await builds().build([`FROM ${DEBIAN}`, 'RUN true']);
    const before = await held();
    const error = await failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN cat /dev/zero > /fill'], { limits: { diskMiB: 128 } }),
    );
    assert.equal(error.code, 'ORK_BUILD_DISK');
    assert.match(error.message, /limit 128 MiB, in `RUN cat \/dev\/zero > \/fill`/);
    await builds().build([`FROM ${DEBIAN}`, 'RUN true']); // starts once the slot is tidied
    assert.ok((await held()) - before < 32 * MIB);
  });

  test('too much output and too large an image have error codes of their own', async () => {
    const flood = await failure(builds().build([`FROM ${DEBIAN}`, 'RUN yes'], { limits: { logMiB: 1 } }));
    assert.equal(flood.code, 'ORK_BUILD_LOG');
    const large = await failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN head -c 30000000 /dev/urandom > /large'], { limits: { imageMiB: 90 } }),
    );
    assert.equal(large.code, 'ORK_IMAGE_TOO_LARGE');
    assert.match(large.message, /limit 90 MiB; its largest layer .* made by `RUN head -c 30000000 .* > \/large`\.$/);
  });

  test('output faster than it can be read counts as too much output, and the next build gets a fresh engine', async () => {
    const flood = await failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN cat /dev/urandom'], { limits: { logMiB: 1024 } }),
    );
    assert.equal(flood.code, 'ORK_BUILD_LOG');
    assert.match(flood.message, /printed more than its engine could hold, in `RUN cat/);
    await builds().build([`FROM ${DEBIAN}`, 'RUN true']);
    assert.ok((await builds().readGroup()).engineBytes < 256 * MIB);
  });

  test('a context with too many files is refused before it is sent', async () => {
    const folderOfMany = join(builds().builder.folder, 'context', 'many');
    await mkdir(folderOfMany);
    for (let number = 0; number < 1001; number += 1) await writeFile(join(folderOfMany, `${number}`), '');
    const error = await failure(builds().build([`FROM ${DEBIAN}`, 'COPY . /'], { limits: { contextFiles: 1000 } }));
    await rm(folderOfMany, { recursive: true });
    assert.equal(error.code, 'ORK_CONTEXT_TOO_LARGE');
    assert.match(error.message, /1002 files, limit 1000/);
  });

  test('a build that exceeds its time is ended with all its processes', async () => {
    const error = await failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN sleep 98765'], { limits: { timeoutSeconds: 5 } }),
    );
    assert.equal(error.code, 'ORK_BUILD_TIMEOUT');
    await builds().assertNothingRuns();
  });

  test('a cancelled build ends at once with all its processes', async () => {
    const stop = new AbortController();
    const error = await failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN echo begun; sleep 98764'], {
        signal: stop.signal,
        onLog: (text) => text.includes('begun\n') && stop.abort(),
      }),
    );
    assert.equal(error.code, 'ORK_CANCELLED');
    await builds().assertNothingRuns();
  });

  test('a missing base image is named, with what to do', async () => {
    const error = await failure(builds().build(['FROM orkestr.invalid/none:1', 'RUN true']));
    assert.equal(error.code, 'ORK_BASE_IMAGE');
    assert.match(error.message, /orkestr\.invalid\/none:1.*base-images build/);
  });
}
