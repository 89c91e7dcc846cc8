/** The inputs of a build, in a real sandbox: secrets, caches, target and build args. Needs the debian base image. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { pack } from 'tar-stream';
import { run } from '../../lib/exec.ts';
import { readAnswer } from '../../lib/engine-answer.ts';
import { DEBIAN, TestBuilder } from '../../../test/harness/builder.ts';
import { until } from '../../../test/harness/until.ts';

let builder: TestBuilder;

describe('the inputs of a build', () => {
  before(async () => {
    builder = await TestBuilder.start();
  });
  after(() => builder.stop());

  test('a build secret is a file for the command that asks for it, and exists nowhere else', async () => {
    const value = `s3cr3t-${randomUUID()}\nwith a second line é`;
    const { image, text } = await builder.build(
      [
        `FROM ${DEBIAN}`,
        'RUN --mount=type=secret,id=TOKEN,required=true sha256sum < /run/secrets/TOKEN > /sum; stat -c %a /run/secrets/TOKEN',
        'RUN --mount=type=secret,id=TOKEN,target=/elsewhere sha256sum < /elsewhere | cmp - /sum',
        'RUN --mount=type=secret,id=ABSENT ls /run/secrets /elsewhere 2>&1; cat /sum',
      ],
      { secrets: { TOKEN: value } },
    );
    assert.match(text, new RegExp(createHash('sha256').update(value).digest('hex')));
    assert.match(text, /^400$/m);
    assert.match(text, /Line 4 asks for the build secret ABSENT, which is not set/);
    assert.match(
      text,
      /RUN --mount=type=secret,id=TOKEN,required=true sha256sum/,
      'the log has the words of the source',
    );
    const info = await builder.host.call('inspect', (docker) => docker.getImage(image.reference).inspect());
    const history = await builder.host.call('history', (docker) => docker.getImage(image.reference).history());
    assert.ok(!JSON.stringify([info, history, text]).includes(value.slice(0, 20)));
  });

  test('each command of a generated Dockerfile that sees the files gets the secrets as variables', async () => {
    const { text, image } = await builder.build(
      [
        'FROM debian:trixie-slim AS build',
        'RUN echo "before=${A:-none}"',
        'COPY . .',
        'RUN --mount=type=cache,target=/c echo "after=${#A} ${#B}" && env | grep -c "^A="',
      ],
      { origin: 'generated', secrets: { A: 'aaaaaaa', B: 'b\'b $(id) "b"' } },
    );
    assert.match(text, /^before=none$/m);
    assert.match(text, /^after=7 13$/m);
    assert.match(text, /RUN --mount=type=cache,target=\/c echo/, 'the log shows what the plan shows');
    const info = await builder.host.call('inspect', (docker) => docker.getImage(image.reference).inspect());
    assert.ok(!(info.Config.Env ?? []).some((line) => line.startsWith('A=')));
  });

  test('a required secret that is not set is reported before anything is built', async () => {
    const error = await builder.failure([`FROM ${DEBIAN}`, 'RUN --mount=type=secret,id=NPM_TOKEN,required true']);
    assert.equal(error.code, 'ORK_BUILD_SECRET');
    assert.match(error.message, /Line 2 .*NPM_TOKEN.*orkestr env set --build NPM_TOKEN=-/);
  });

  test('a layer built with a secret is not reused for another environment', async () => {
    const lines = [
      `FROM ${DEBIAN}`,
      `RUN --mount=type=secret,id=TOKEN echo ${randomUUID()}; cat /run/secrets/TOKEN | wc -c`,
    ];
    const own = { secrets: { TOKEN: 'of the first one' } };
    await builder.build(lines, own);
    assert.match((await builder.build(lines, own)).text, /RUN .* \(cached\)/);
    const other = await builder.build(lines, { environmentId: randomUUID(), secrets: { TOKEN: 'other' } });
    assert.doesNotMatch(other.text, /RUN .* \(cached\)/);
    assert.match(other.text, /^5$/m);
  });

  test('a cache mount belongs to its environment and survives a restart of the agent', async () => {
    const put = (word: string): string[] => [
      `FROM ${DEBIAN}`,
      `RUN --mount=type=cache,id=shared,target=/c ls /c | sed 's/^/had /'; touch /c/${word}; : ${randomUUID()}`,
    ];
    const [first, second] = [randomUUID(), randomUUID()];
    await builder.build(put('one'), { environmentId: first });
    assert.doesNotMatch((await builder.build(put('two'), { environmentId: second })).text, /^had/m);
    builder.restart();
    assert.match((await builder.build(put('three'), { environmentId: first })).text, /^had one$/m);
    // Whatever its spelling.
    const sly = `RUN --mount=type=ca\\che,i"d"=shared,target=/c ls /c | sed 's/^/had /'; : ${randomUUID()}`;
    assert.doesNotMatch((await builder.build([`FROM ${DEBIAN}`, sly], { environmentId: second })).text, /^had one$/m);
  });

  test('a target stops the build at its stage, and build args reach the Dockerfile', async () => {
    const lines = [
      'ARG BASE=none',
      'FROM $BASE AS first',
      'ARG WORD',
      'RUN echo "word=$WORD"',
      'FROM first',
      'RUN exit 9',
    ];
    const { text } = await builder.build(lines, { target: 'first', buildArgs: { BASE: DEBIAN, WORD: 'a b' } });
    assert.match(text, /^word=a b$/m);
    const error = await builder.failure(lines, { target: 'last' });
    assert.match(error.message, /no stage "last".*stages are first/);
  });

  test('the log warns about volumes of an image, since each container starts with empty ones', async () => {
    const { text } = await builder.build([`FROM ${DEBIAN}`, 'VOLUME ["/data"]']);
    assert.match(text, /^warning: The image has the volumes \/data: each deployment begins with an empty volume/m);
  });

  test('a feature that the engine is too old for is reported with its line and the required version', async () => {
    const { Version } = await builder.host.call('version', (docker) => docker.version());
    if (!Version.startsWith('20.10.')) return;
    for (const line of [
      'RUN <<EOF',
      'COPY --link a b',
      'COPY --parents a b',
      'ADD --checksum=sha256:0 a b',
      'RUN --network=none true',
    ]) {
      const error = await builder.failure([`FROM ${DEBIAN}`, line]);
      assert.equal(error.code, 'ORK_BUILD_FEATURE', line);
      assert.match(error.message, /^Line 2 .*needs Docker Engine \d+\.\d+ or newer.*this host has 20\.10/);
    }
    await builder.build([
      `FROM ${DEBIAN}`,
      'COPY --chmod=600 --chown=1:1 app.txt /a',
      'RUN --mount=type=tmpfs,target=/t test "$(stat -c %a%u /a)" = 6001',
    ]);
  });

  test('a session ends with its build, whether it succeeds, fails or is cancelled', async () => {
    const connections = async (): Promise<number> =>
      (await run('ss', ['-xHp'], { timeoutMs: 5000, maxOutputBytes: 4_000_000 })).stdout
        .split('\n')
        .filter((line) => line.includes(builder.folder)).length;
    const lines = (command: string): string[] => [`FROM ${DEBIAN}`, `RUN --mount=type=secret,id=T ${command}`];
    const secrets = { T: 'a secret' };
    await builder.build(lines('true'), { secrets });
    const before = await connections();
    await builder.failure(lines('false'), { secrets });
    const stop = new AbortController();
    await builder.failure(lines('echo begun; sleep 98761'), {
      secrets,
      signal: stop.signal,
      onLog: (text) => text.includes('begun\n') && stop.abort(),
    });
    await until(async () => (await connections()) <= before, 'no connection is left');
  });

  test('a base image whose trigger mounts a cache is rejected, because every environment would share it', async () => {
    await builder.build([`FROM ${DEBIAN}`, 'RUN true']); // starts the engine
    const name = 'sly.invalid/base:1';
    await builder.withEngine((engine) =>
      engine.call('import an image', async (docker) => {
        const empty = pack();
        empty.finalize();
        const [repo, tag] = name.split(':');
        const changes = ['ONBUILD RUN --mount=type=cache,id=shared,target=/c ls /c'];
        const answer: unknown = await docker.importImage(Readable.from(empty), { repo, tag, changes });
        await readAnswer(answer as NodeJS.ReadableStream);
      }),
    );
    const error = await builder.failure([`FROM ${name}`, 'COPY app.txt /']);
    assert.equal(error.code, 'ORK_DOCKERFILE_REFUSED');
    assert.match(error.message, /sly\.invalid\/base:1 has an ONBUILD trigger with a mount/);
  });
});
