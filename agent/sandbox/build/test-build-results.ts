/** What a build produces. Needs what builder.machine.test.ts sets up. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEBIAN } from '../../../test/harness/builder.ts';
import { makeImageStore } from '../../docker/images.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Engine } from '../../lib/engine.ts';
import { LABEL } from '../../lib/labels.ts';
import { makeImageBuilder } from './builder.ts';
import type { Builds } from './test-builds.ts';
import { failure } from './test-builds.ts';

const PREVIOUS = randomUUID();

export function buildResults(builds: () => Builds): void {
  test('a build produces a labelled image on the host, its facts, and a log in the order of the steps', async () => {
    const deploymentId = randomUUID();
    const { image, text } = await builds().build(
      [
        '# syntax=docker/dockerfile:1',
        `FROM ${DEBIAN} AS made`,
        'COPY . /app',
        'RUN --mount=type=cache,target=/cache cat /app/app.txt /app/.orkestr/settings; echo " out"',
        'FROM made',
        'EXPOSE 3000 9000/udp',
        'HEALTHCHECK CMD true',
      ],
      { deploymentId },
    );
    assert.match(text, /COPY \. \/app\ndone in .* s\n/);
    assert.match(text, /RUN --mount=type=cache.*\nfrom the checkoutfrom the plan out\n/);
    assert.deepEqual([image.exposedPorts, image.hasHealthcheck], [[3000], true]);
    assert.match(image.baseImages['debian:trixie-slim'] ?? '', /^sha256:/);
    assert.ok((image.peakMemoryBytes ?? 1) > 0 && image.bytes > 1_000_000);
    const info = await builds().builder.host.call('inspect', (docker) => docker.getImage(image.reference).inspect());
    assert.equal(info.Id, image.id);
    assert.deepEqual(image.layers, info.RootFS.Layers);
    assert.deepEqual([image.summary?.steps, image.summary?.cached, image.summary?.layers], [2, 0, { all: 3, sent: 2 }]);
    assert.match(
      text,
      /\nbuilt in [\d.]+ s: 2 steps, 0 of them from the cache\n(?:  .*\n)*image .* of 3 layers, 2 of them new/,
    );
    assert.deepEqual(
      [LABEL.scope, LABEL.deployment, LABEL.environment, LABEL.project].map((label) => info.Config.Labels[label]),
      [builds().builder.scope, deploymentId, builds().environmentId, builds().projectId],
    );
    assert.equal((await builds().builder.images.list(builds().environmentId))[0]?.deploymentId, deploymentId);
  });

  test('the host starts loading an image while it is still being exported', async () => {
    const { scope, host, sandbox } = builds().builder;
    let loading = 0;
    let loadsWhenBuilt = -1;
    const watchedHost: Engine = {
      socketPath: host.socketPath,
      async call(what, work, options) {
        if (what.startsWith('load ')) loading += 1;
        return host.call(what, work, options);
      },
    };
    // With the image present, the builder's first request to the sandbox's engine inspects it.
    const watched = (engine: Engine): Engine => ({
      ...engine,
      call: (what, ask, options) => {
        if (what === 'inspect the image') loadsWhenBuilt = loading;
        return engine.call(what, ask, options);
      },
    });
    const watchedBuilder = makeImageBuilder({
      scope,
      engine: watchedHost,
      clock: systemClock,
      imagesOf: (of) => makeImageStore(of, { scope }),
      sandbox: {
        ...sandbox,
        use: (request, work) => sandbox.use(request, (slot) => work({ ...slot, engine: watched(slot.engine) })),
      },
    });
    await builds().build([`FROM ${DEBIAN}`, `RUN echo ${randomUUID()} > /early`], { builder: watchedBuilder });
    assert.deepEqual([loadsWhenBuilt, loading], [1, 1]);
  });

  test('an image that a lost run left on the host is used, not built again', async () => {
    const deploymentId = randomUUID();
    const lines = [`FROM ${DEBIAN}`, `RUN echo ${deploymentId}`];
    const first = await builds().build(lines, { deploymentId });
    const second = await builds().build(lines, { deploymentId });
    assert.equal(second.image.id, first.image.id);
    assert.deepEqual(second.image.baseImages, first.image.baseImages);
    assert.doesNotMatch(second.text, /RUN/);
  });

  test('an unchanged step comes from the cache', async () => {
    const lines = [`FROM ${DEBIAN}`, `RUN echo ${randomUUID()}`];
    await builds().build(lines);
    assert.match((await builds().build(lines)).text, /RUN echo .* \(cached\)/);
  });

  test('a build that ran no command has no peak memory, and a later one does not report an earlier peak', async () => {
    const ran = await builds().build([`FROM ${DEBIAN}`, `RUN head -c 30000000 /dev/zero > /${randomUUID()}`]);
    assert.ok((ran.image.peakMemoryBytes ?? 0) > 0);
    assert.match(ran.text, /^peak memory .* of 256 MiB$/m);
    const { image, text } = await builds().build([`FROM ${DEBIAN}`, `ENV ID=${randomUUID()}`, 'COPY app.txt /']);
    assert.equal(image.peakMemoryBytes, null);
    assert.doesNotMatch(text, /peak memory/);
    const small = await builds().build([`FROM ${DEBIAN}`, `RUN echo ${randomUUID()}`]);
    assert.ok((small.image.peakMemoryBytes ?? 0) < 25_000_000, `${small.image.peakMemoryBytes} bytes for an echo`);
  });

  test('an image with a damaged layer is refused, and the next build makes the layer again', async () => {
    const made = `made-${builds().builder.scope}`;
    const lines = [`FROM ${DEBIAN}`, `RUN echo whole > /${made}`];
    const { image } = await builds().build(lines);
    await builds().builder.images.remove(image.id);
    const store = join(builds().builder.files.stateDirectory, 'a/disk/data/overlay2');
    const file = (await readdir(store)).map((layer) => join(store, layer, 'diff', made)).find(existsSync);
    await writeFile(file ?? '', 'hurt!\n');
    let told = '';
    const error = await failure(builds().build(lines, { onLog: (text) => void (told = text) }));
    assert.equal(error.code, 'ORK_IMAGE_DAMAGED');
    assert.match(told, /\(cached\)[^]*The build cache was cleared/);
    const again = await builds().build(lines);
    assert.deepEqual([again.image.summary?.cached, again.image.layers?.length], [0, 2]);
  });

  test('a rebuild uses the base image of the release even if its tag has moved, and compares the result', async (t) => {
    const { host, scope } = builds().builder;
    const base = `ork-base-${scope}:1`;
    const made: string[] = [];
    const moveBase = async (word: string): Promise<void> => {
      const Cmd = ['sh', '-c', `echo ${word} > /base`];
      const [repo, tag] = base.split(':') as [string, string];
      await host.call('make a base image', async (docker) => {
        const container = await docker.createContainer({ Image: DEBIAN, Cmd });
        await container.start();
        await container.wait();
        made.push(((await container.commit({ repo, tag })) as { Id: string }).Id);
        await container.remove();
      });
    };
    t.after(async () => {
      for (const id of made) await host.call('remove', (docker) => docker.getImage(id).remove({ force: true }));
    });
    await moveBase('old');
    const lines = [`FROM ${base}`, 'COPY app.txt /', 'RUN cp /base /made'];
    const { image } = await builds().build(lines);
    await moveBase('new');
    const same = await builds().build(lines, { again: { deploymentId: PREVIOUS, image } });
    assert.deepEqual(same.image.baseImages, image.baseImages);
    assert.deepEqual(same.image.rebuild, { of: PREVIOUS, identical: true, differences: [] });
    assert.match(same.text, /identical to the image of deployment/);
    const gone = `sha256:${'0'.repeat(64)}`;
    const other = await builds().build(lines, {
      again: { deploymentId: PREVIOUS, image: { ...image, baseImages: { [base]: gone } } },
    });
    assert.equal(other.image.rebuild?.identical, false);
    assert.match(
      other.text,
      /no longer available in the version used before[^]*base image ork-base-.*: was sha256:0+, now sha256:/,
    );
    assert.match(other.image.rebuild?.differences.join('\n') ?? '', /layer 4 of 4: RUN cp \/base \/made/);
  });
}
