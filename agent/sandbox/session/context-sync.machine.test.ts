/** How the context reaches a real build. Needs the debian base image. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readdir, readlink, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { DEBIAN, TestBuilder } from '../../../test/harness/builder.ts';
import { until } from '../../../test/harness/until.ts';

const COPY_ALL = [`FROM ${DEBIAN}`, 'COPY . /app'];
const REVISION = { commit: 'a'.repeat(40), committedAt: new Date('2026-01-02T03:04:05Z') };

let builder: TestBuilder;

const inContext = (name: string): string => join(builder.folder, 'context', name);

/** "2 of 5": files that were new to the engine, of all files. */
const sent = (text: string): string | undefined =>
  text
    .match(/^context of (\d+) files, (\d+) of them new/m)
    ?.slice(1)
    .toReversed()
    .join(' of ');

/** Number of this process's file descriptors that refer to `path`. */
async function openTimes(path: string): Promise<number> {
  const numbers = await readdir('/proc/self/fd');
  const paths = await Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')));
  return paths.filter((each) => each === path).length;
}

/** Writes a file that takes a while to send. */
async function writeLarge(name: string): Promise<string> {
  const path = inContext(name);
  const file = await open(path, 'w');
  await file.truncate(1_073_741_824);
  await file.close();
  return path;
}

async function untilOpen(path: string): Promise<void> {
  await until(async () => (await openTimes(path)) > 0);
  assert.equal(await openTimes(path), 1);
}

describe('the context of a build', () => {
  before(async () => {
    builder = await TestBuilder.start();
  });
  beforeEach(async () => {
    await rm(inContext(''), { recursive: true });
    await mkdir(inContext('sub'), { recursive: true });
    for (const name of ['a', 'b', 'sub/c']) await writeFile(inContext(name), name);
  });
  after(() => builder.stop());

  test("only files that changed since the engine's last build of the environment are sent", async () => {
    const environmentId = randomUUID();
    assert.equal(sent((await builder.build(COPY_ALL, { environmentId })).text), '3 of 3');
    assert.equal(sent((await builder.build(COPY_ALL, { environmentId })).text), '0 of 3');
    await writeFile(inContext('sub/c'), 'other');
    await rm(inContext('a'));
    const lines = [...COPY_ALL, 'RUN cd /app && cat b sub/c && test ! -e a'];
    const { text } = await builder.build(lines, { environmentId });
    assert.equal(sent(text), '1 of 2');
    assert.match(text, /^bother$/m);
  });

  test('the Dockerfile is not part of the context, so a changed last line leaves the other steps cached', async () => {
    const environmentId = randomUUID();
    const lines = [...COPY_ALL, 'RUN find /app'];
    assert.doesNotMatch((await builder.build(lines, { environmentId })).text, /^\/app\/.*Dockerfile/m);
    const { text } = await builder.build([...lines, 'CMD ["true"]'], { environmentId });
    assert.match(text, /RUN find \/app \(cached\)/);
  });

  test('an environment gets nothing from the context of another one', async () => {
    await builder.build(COPY_ALL, { environmentId: randomUUID() });
    await rm(inContext('a'));
    const { text } = await builder.build([...COPY_ALL, 'RUN ls /app'], { environmentId: randomUUID() });
    assert.equal(sent(text), '2 of 2');
    assert.doesNotMatch(text, /^a$/m);
  });

  test('a file that differs only in its content is updated if the commit differs', async () => {
    const environmentId = randomUUID();
    const lines = [...COPY_ALL, 'RUN cat /app/a'];
    for (const [commit, words] of [
      ['a', 'first'],
      ['b', 'other'],
    ] as const) {
      await writeFile(inContext('a'), words);
      const revision = { ...REVISION, commit: commit.repeat(40) };
      assert.match((await builder.build(lines, { environmentId, revision })).text, new RegExp(`^${words}$`, 'm'));
    }
    const files = (text: string) => ({ files: [{ path: 'plan', text }], revision: REVISION, environmentId });
    for (const words of ['first', 'other']) {
      const { text } = await builder.build([...COPY_ALL, 'RUN cat /app/plan'], files(words));
      assert.match(text, new RegExp(`^${words}$`, 'm'));
    }
  });

  test("the image contains exactly the selected files, with Git's modes, links, owner and the time of the commit", async () => {
    await writeFile(inContext('.dockerignore'), '*\n!a\n!sub\nsub/*.log\n!deep/er/kept\n');
    await mkdir(inContext('deep/er'), { recursive: true });
    for (const name of ['sub/x.log', 'deep/er/kept', 'deep/er/not', 'ünï {1}']) await writeFile(inContext(name), name);
    await writeFile(inContext('sub/ünï, {1} +'), '');
    await symlink('/etc/hostname', inContext('sub/link'));
    // As the agent of a host checks out: only it can read.
    await chmod(inContext('a'), 0o700);
    await chmod(inContext('sub'), 0o700);
    await chmod(inContext('sub/c'), 0o600);
    const { text } = await builder.build(
      [
        `FROM ${DEBIAN}`,
        'COPY . /app',
        // Images keep times only to the second.
        `RUN cd /app && find . -mindepth 1 -not -type d -printf 'F %P %m %U:%G %Ts %l\\n' -o -type d -printf 'D %P %m\\n' | LC_ALL=C sort`,
        'COPY .dockerignore* a /ignore/',
        'RUN ls -A /ignore | sed s/^/I=/',
      ],
      { revision: REVISION, files: [{ path: '.orkestr/settings', text: 'from the plan' }] },
    );
    const at = REVISION.committedAt.getTime() / 1000;
    const found = text.split('\n').filter((line) => /^[FD] /.test(line) && !/^D\s+755$/.test(line));
    assert.deepEqual(found, [
      'D .orkestr 755',
      'D deep 755',
      'D deep/er 755',
      'D sub 755',
      `F .orkestr/settings 644 0:0 ${at} `,
      `F a 755 0:0 ${at} `,
      `F deep/er/kept 644 0:0 ${at} `,
      `F sub/c 644 0:0 ${at} `,
      `F sub/link 777 0:0 ${at} /etc/hostname`,
      `F sub/ünï, {1} + 644 0:0 ${at} `,
    ]);
    assert.match(text, /^I=a$/m);
    assert.doesNotMatch(text, /I=\.dockerignore/); // it excludes itself
  });

  test('a .dockerignore in the context is included and not applied a second time', async () => {
    await writeFile(inContext('.dockerignore'), 'plan\nb\n');
    const { text } = await builder.build(
      [`FROM ${DEBIAN}`, 'COPY .dockerignore plan /', 'RUN cat /plan /.dockerignore'],
      {
        files: [{ path: 'plan', text: 'of the plan\n' }],
      },
    );
    assert.match(text, /^of the plan\nplan\nb$/m);
  });

  test('the error for a missing file names the file and the COPY that needs it', async () => {
    await writeFile(inContext('.dockerignore'), 'a\n');
    const error = await builder.failure([`FROM ${DEBIAN}`, 'COPY a /']);
    assert.equal(error.code, 'ORK_BUILD_FAILED');
    assert.match(error.message, /^There is no a for `COPY a \/`: .*\.dockerignore/);
  });

  test('a file that shrinks while it is sent fails the build, and the error names it', async () => {
    const path = await writeLarge('large');
    const failed = builder.failure(COPY_ALL);
    await untilOpen(path);
    await truncate(path, 1000);
    const error = await failed;
    assert.equal(error.code, 'ORK_CONTEXT_CHANGED');
    assert.match(
      error.message,
      /^The checkout changed while it was being built: large has less than the 1073741824 bytes/,
    );
    assert.equal(await openTimes(path), 0);
    await rm(path);
    assert.match((await builder.build(COPY_ALL)).text, /^built in/m);
  });

  test('a build cancelled in the middle of a large file ends at once and closes the file', async () => {
    const path = await writeLarge('large');
    const stop = new AbortController();
    const failed = builder.failure(COPY_ALL, { signal: stop.signal });
    await untilOpen(path);
    stop.abort();
    assert.equal((await failed).code, 'ORK_CANCELLED');
    await until(async () => (await openTimes(path)) === 0);
    await rm(path);
    assert.match((await builder.build(COPY_ALL)).text, /^built in/m);
  });
});
