/** Caches that keep earlier results by file times, as cargo, make and `tsc --build` do. Needs the debian base image. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEBIAN, TestBuilder } from '../../../test/harness/builder.ts';

/** Rebuilds `made` from `app.txt` if that is newer than the cached result, and prints what the image gets. */
const MAKE =
  'test -e /kept/made && test ! /src/app.txt -nt /kept/made || cp /src/app.txt /kept/made; echo "made of $(cat /kept/made)"';
const KEPT = '--mount=type=cache,target=/kept';

let builder: TestBuilder;

/** Builds an old commit whose `app.txt` contains `words`. */
async function build(
  words: string,
  lines: readonly string[],
  environmentId: string,
): Promise<{ text: string; made: string | undefined }> {
  await writeFile(join(builder.folder, 'context', 'app.txt'), words);
  const committedAt = new Date('2026-01-02T03:04:05Z');
  const revision = { commit: randomUUID().replaceAll('-', '').padEnd(40, '0'), committedAt };
  const { text } = await builder.build([`FROM ${DEBIAN}`, ...lines], { environmentId, revision });
  return { text, made: /^made of (.*)$/m.exec(text)?.[1] };
}

describe('a cache whose results are compared by file times', () => {
  before(async () => {
    builder = await TestBuilder.start();
  });
  after(() => builder.stop());

  for (const [how, lines] of [
    ['copied', ['COPY app.txt /src/', `RUN ${KEPT} ${MAKE}`]],
    ['mounted', [`RUN ${KEPT} --mount=type=bind,target=/src ${MAKE}`]],
  ] as const) {
    test(`a commit older than the last build is built from its own files, ${how}`, async () => {
      const environmentId = randomUUID();
      for (const words of ['one', 'two', 'one, again']) {
        assert.equal((await build(words, lines, environmentId)).made, words);
      }
    });
  }

  test('a commit whose earlier build failed is built from its own files, even after a build of another commit', async () => {
    const environmentId = randomUUID();
    await writeFile(join(builder.folder, 'context', 'list'), randomUUID());
    const lines = (run: string) => ['COPY list /', 'RUN cat /list', 'COPY app.txt /src/', `RUN ${KEPT} ${run}`];
    const fails = `if grep -q fails /src/app.txt; then exit 1; fi; ${MAKE}`;
    await assert.rejects(build('fails once', lines(fails), environmentId));
    assert.equal((await build('two', lines(fails), environmentId)).made, 'two');
    const { made, text } = await build('fails once', lines(MAKE), environmentId);
    assert.equal(made, 'fails once');
    assert.match(text, /RUN cat \/list \(cached\)/, 'what stood before the files is kept');
  });

  test('a commit whose build was killed with the agent is built from its own files, even after another commit', async () => {
    const environmentId = randomUUID();
    const lines = (run: string) => ['COPY app.txt /src/', `RUN ${KEPT} ${run}`];
    await writeFile(join(builder.folder, 'context', 'app.txt'), 'killed');
    await builder.buildUntilKilled(
      [`FROM ${DEBIAN}`, ...lines('echo here I stay; sleep 600')],
      environmentId,
      /^here I/m,
    );
    builder.restart();
    assert.equal((await build('two', lines(MAKE), environmentId)).made, 'two');
    assert.equal((await build('killed', lines(MAKE), environmentId)).made, 'killed');
  });
});
