/** Real builds in this test's own sandbox. Needs the debian and node base images in the machine's engine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { OrkestrError } from '../../protocol/errors.ts';
import { BuildLimits } from '../../protocol/job.ts';
import { makeEngine } from '../docker/engine.ts';
import { makeImageStore } from '../docker/images.ts';
import { openMetadataService } from '../firewall/test-remote-host.ts';
import type { Engine } from '../lib/engine.ts';
import { run } from '../lib/exec.ts';
import { LABEL } from '../lib/labels.ts';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';
import type { TestBuild } from '../../test/harness/builder.ts';
import { until } from '../../test/harness/until.ts';
import { makeImageBuilder } from './builder.ts';
import { makeBuildCgroup, type CgroupReading } from './cgroup/cgroup.ts';
import { buildGroup } from './cgroup/group.ts';
import { makeSandbox } from './sandbox.ts';

const NODE = 'node:26-trixie-slim';
const environmentId = randomUUID();
const projectId = randomUUID();
const PREVIOUS = randomUUID();
let builder: TestBuilder;

/** Builds a plan with `lines` as its Dockerfile, and a file of its own. */
const build = (lines: readonly string[], options: TestBuild = {}): ReturnType<TestBuilder['build']> =>
  builder.build(lines, {
    environmentId,
    projectId,
    origin: 'generated',
    files: [{ path: '.orkestr/settings', text: 'from the plan' }],
    revision: { commit: 'c'.repeat(40), committedAt: new Date('2026-01-02T03:04:05Z') },
    ...options,
    limits: { diskMiB: 1024, ...options.limits },
  });

const failure = async (work: Promise<unknown>): Promise<OrkestrError> => {
  const error = await work.then(
    () => null,
    (reason: OrkestrError) => reason,
  );
  assert.ok(error, 'it should have failed');
  return error;
};

const sandboxPid = (): number => Number(readFileSync(join(builder.files.runDirectory, 'a', 'dockerd.pid'), 'utf8'));

const readGroup = (): Promise<CgroupReading> => makeBuildCgroup(`${buildGroup(builder.scope).path}/a`).read();

/** No process of a RUN is left, whatever else runs here. A killed process counts until its parent reaps it. */
async function assertNothingRuns(): Promise<void> {
  await until(async () => (await readGroup()).processes === 0, 'nothing of a RUN lives on');
}

describe('builds in a real sandbox', () => {
  before(async () => {
    builder = await TestBuilder.start();
    assert.ok(await builder.images.find(NODE), `the base image ${NODE} is needed: orkestr-agent base-images build`);
  });

  after(async () => {
    await builder.stop();
    const { images, scope } = builder;
    assert.deepEqual(await images.list(environmentId), []);
    assert.ok(!existsSync(`/sys/class/net/ob${scope}a`));
    for (const controller of ['memory', 'pids', 'cpu', '.']) {
      assert.ok(!existsSync(`/sys/fs/cgroup/${controller}/orkestr-build-${scope}`));
    }
    for (const program of ['iptables-save', 'ip6tables-save']) {
      const { stdout } = await run(program, [], { timeoutMs: 10_000, maxOutputBytes: 1_000_000 });
      assert.doesNotMatch(stdout, new RegExp(scope));
    }
  });

  test('an image is built, labelled, handed to the host with its facts, and its log reads from top to bottom', async () => {
    const deploymentId = randomUUID();
    const { image, text } = await build(
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
    const info = await builder.host.call('inspect', (docker) => docker.getImage(image.reference).inspect());
    assert.equal(info.Id, image.id);
    assert.deepEqual(image.layers, info.RootFS.Layers);
    assert.deepEqual([image.summary?.steps, image.summary?.cached, image.summary?.layers], [2, 0, { all: 3, sent: 2 }]);
    assert.match(
      text,
      /\nbuilt in [\d.]+ s: 2 steps, 0 of them from the cache\n(?:  .*\n)*image .* of 3 layers, 2 of them new/,
    );
    assert.deepEqual(
      [LABEL.scope, LABEL.deployment, LABEL.environment, LABEL.project].map((label) => info.Config.Labels[label]),
      [builder.scope, deploymentId, environmentId, projectId],
    );
    assert.equal((await builder.images.list(environmentId))[0]?.deploymentId, deploymentId);
  });

  test('the host begins to take an image while it is put together', async () => {
    const { scope, host, sandbox } = builder;
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
      imagesOf: (of) => makeImageStore(of, { scope }),
      sandbox: {
        ...sandbox,
        use: (request, work) => sandbox.use(request, (lease) => work({ ...lease, engine: watched(lease.engine) })),
      },
    });
    await build([`FROM ${DEBIAN}`, `RUN echo ${randomUUID()} > /early`], { builder: watchedBuilder });
    assert.deepEqual([loadsWhenBuilt, loading], [1, 1]);
  });

  test('a lost result is found on the host and not built again', async () => {
    const deploymentId = randomUUID();
    const lines = [`FROM ${DEBIAN}`, `RUN echo ${deploymentId}`];
    const first = await build(lines, { deploymentId });
    const second = await build(lines, { deploymentId });
    assert.equal(second.image.id, first.image.id);
    assert.deepEqual(second.image.baseImages, first.image.baseImages);
    assert.doesNotMatch(second.text, /RUN/);
  });

  test('what did not change comes from the cache', async () => {
    const lines = [`FROM ${DEBIAN}`, `RUN echo ${randomUUID()}`];
    await build(lines);
    assert.match((await build(lines)).text, /RUN echo .* \(cached\)/);
  });

  test('of a build that ran nothing no peak memory is told, whatever an earlier one left in memory', async () => {
    const ran = await build([`FROM ${DEBIAN}`, `RUN head -c 30000000 /dev/zero > /${randomUUID()}`]);
    assert.ok((ran.image.peakMemoryBytes ?? 0) > 0);
    assert.match(ran.text, /^peak memory .* of 256 MiB$/m);
    const { image, text } = await build([`FROM ${DEBIAN}`, `ENV ID=${randomUUID()}`, 'COPY app.txt /']);
    assert.equal(image.peakMemoryBytes, null);
    assert.doesNotMatch(text, /peak memory/);
    const small = await build([`FROM ${DEBIAN}`, `RUN echo ${randomUUID()}`]);
    assert.ok((small.image.peakMemoryBytes ?? 0) < 25_000_000, `${small.image.peakMemoryBytes} bytes for an echo`);
  });

  test('a damaged layer never reaches the host, and the next build makes it anew', async () => {
    const made = `made-${builder.scope}`;
    const lines = [`FROM ${DEBIAN}`, `RUN echo whole > /${made}`];
    const { image } = await build(lines);
    await builder.images.remove(image.id);
    const store = join(builder.files.stateDirectory, 'a/disk/data/overlay2');
    const file = (await readdir(store)).map((layer) => join(store, layer, 'diff', made)).find(existsSync);
    await writeFile(file ?? '', 'hurt!\n');
    let told = '';
    const error = await failure(build(lines, { onLog: (text) => void (told = text) }));
    assert.equal(error.code, 'ORK_IMAGE_DAMAGED');
    assert.match(told, /\(cached\)[^]*The build cache was cleared/);
    const again = await build(lines);
    assert.deepEqual([again.image.summary?.cached, again.image.layers?.length], [0, 2]);
  });

  test('a release is built again from the base image it had, though its name has moved on, and is compared', async (t) => {
    const { host, scope } = builder;
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
    const { image } = await build(lines);
    await moveBase('new');
    const same = await build(lines, { again: { deploymentId: PREVIOUS, image } });
    assert.deepEqual(same.image.baseImages, image.baseImages);
    assert.deepEqual(same.image.rebuild, { of: PREVIOUS, identical: true, differences: [] });
    assert.match(same.text, /identical to the image of deployment/);
    const gone = `sha256:${'0'.repeat(64)}`;
    const other = await build(lines, {
      again: { deploymentId: PREVIOUS, image: { ...image, baseImages: { [base]: gone } } },
    });
    assert.equal(other.image.rebuild?.identical, false);
    assert.match(
      other.text,
      /no longer available in the version used before[^]*base image ork-base-.*: was sha256:0+, now sha256:/,
    );
    assert.match(other.image.rebuild?.differences.join('\n') ?? '', /layer 4 of 4: RUN cp \/base \/made/);
  });

  test('a failing command is named with its exit code and last lines', async () => {
    const error = await failure(build([`FROM ${DEBIAN}`, 'RUN echo why; exit 7']));
    assert.equal(error.code, 'ORK_BUILD_FAILED');
    assert.match(error.message, /`RUN echo why; exit 7` ended with exit code 7/);
    assert.ok(error.evidence.includes('why'));
  });

  test('want of memory is told even when the command hides it, with the limit', async () => {
    const error = await failure(build([`FROM ${DEBIAN}`, 'RUN tail /dev/zero || exit 1']));
    assert.equal(error.code, 'ORK_BUILD_MEMORY', error.message);
    assert.match(error.message, /limit 256 MiB, peak 256 MiB, in `RUN tail \/dev\/zero/);
    // The next build starts with fresh counters.
    const next = await failure(build([`FROM ${DEBIAN}`, 'RUN exit 1']));
    assert.equal(next.code, 'ORK_BUILD_FAILED', next.message);
  });

  test('a fork bomb meets the limit of processes', async () => {
    const script = 'for i in $(seq 400); do sleep 30 & done; wait';
    const error = await failure(
      build([`FROM ${DEBIAN}`, `RUN bash -c '${script}'`], { limits: { pids: 64, timeoutSeconds: 20 } }),
    );
    assert.equal(error.code, 'ORK_BUILD_PROCESSES');
    assert.match(error.message, /too many processes: limit 64, in `RUN bash/);
    await assertNothingRuns();
  });

  test('a build that fills its disk is ended with disk, limit and command, and the host has its bytes back', async () => {
    const held = async (): Promise<number> =>
      (await stat(join(builder.files.stateDirectory, 'a', 'disk.img'))).blocks * 512;
    await build([`FROM ${DEBIAN}`, 'RUN true']);
    const before = await held();
    const error = await failure(build([`FROM ${DEBIAN}`, 'RUN cat /dev/zero > /fill'], { limits: { diskMiB: 128 } }));
    assert.equal(error.code, 'ORK_BUILD_DISK');
    assert.match(error.message, /limit 128 MiB, in `RUN cat \/dev\/zero > \/fill`/);
    await build([`FROM ${DEBIAN}`, 'RUN true']); // starts once the slot is tidied
    assert.ok((await held()) - before < 32 * 1_048_576);
  });

  test('a flood of output and an image that is too large end a build by their codes', async () => {
    const flood = await failure(build([`FROM ${DEBIAN}`, 'RUN yes'], { limits: { logMiB: 1 } }));
    assert.equal(flood.code, 'ORK_BUILD_LOG');
    const large = await failure(
      build([`FROM ${DEBIAN}`, 'RUN head -c 30000000 /dev/urandom > /large'], { limits: { imageMiB: 90 } }),
    );
    assert.equal(large.code, 'ORK_IMAGE_TOO_LARGE');
    assert.match(large.message, /limit 90 MiB; its largest layer .* made by `RUN head -c 30000000 .* > \/large`\.$/);
  });

  test('a flood that the engine cannot hold until it is read ends as one, and the next build gets an engine with room', async () => {
    const flood = await failure(build([`FROM ${DEBIAN}`, 'RUN cat /dev/urandom'], { limits: { logMiB: 1024 } }));
    assert.equal(flood.code, 'ORK_BUILD_LOG');
    assert.match(flood.message, /printed more than its engine could hold, in `RUN cat/);
    await build([`FROM ${DEBIAN}`, 'RUN true']);
    assert.ok((await readGroup()).engineBytes < 256 * 1_048_576);
  });

  test('a context with too many files is refused before it is sent', async () => {
    const folderOfMany = join(builder.folder, 'context', 'many');
    await mkdir(folderOfMany);
    for (let number = 0; number < 1001; number += 1) await writeFile(join(folderOfMany, `${number}`), '');
    const error = await failure(build([`FROM ${DEBIAN}`, 'COPY . /'], { limits: { contextFiles: 1000 } }));
    await rm(folderOfMany, { recursive: true });
    assert.equal(error.code, 'ORK_CONTEXT_TOO_LARGE');
    assert.match(error.message, /1002 files, limit 1000/);
  });

  test('a build that never ends is ended at its limit, and its processes are gone', async () => {
    const error = await failure(build([`FROM ${DEBIAN}`, 'RUN sleep 98765'], { limits: { timeoutSeconds: 5 } }));
    assert.equal(error.code, 'ORK_BUILD_TIMEOUT');
    await assertNothingRuns();
  });

  test('a cancelled build ends at once, and its processes are gone', async () => {
    const stop = new AbortController();
    const error = await failure(
      build([`FROM ${DEBIAN}`, 'RUN echo begun; sleep 98764'], {
        signal: stop.signal,
        onLog: (text) => text.includes('begun\n') && stop.abort(),
      }),
    );
    assert.equal(error.code, 'ORK_CANCELLED');
    await assertNothingRuns();
  });

  test('a base image that nobody has is named, with what to do', async () => {
    const error = await failure(build(['FROM orkestr.invalid/none:1', 'RUN true']));
    assert.equal(error.code, 'ORK_BASE_IMAGE');
    assert.match(error.message, /orkestr\.invalid\/none:1.*base-images build/);
  });

  test("another deployment's image is nobody's base image", async () => {
    const { image } = await build([`FROM ${DEBIAN}`, 'RUN echo secret > /secret']);
    const error = await failure(build([`FROM ${image.reference}`, 'RUN cat /secret']));
    assert.equal(error.code, 'ORK_BASE_IMAGE');
  });

  test('a Dockerfile that cannot be read, and one with a foreign frontend, are refused', async () => {
    const broken = await failure(build([`FROM ${DEBIAN}`, 'RUNX true']));
    assert.equal(broken.code, 'ORK_DOCKERFILE_REFUSED');
    assert.match(broken.message, /line 2.*RUNX/);
    assert.equal((await failure(build(['# syntax=evil/x', 'FROM scratch']))).code, 'ORK_DOCKERFILE_REFUSED');
  });

  test('host network and privileges are not to be had', async () => {
    for (const option of ['--network=host', '--security=insecure']) {
      const error = await failure(build([`FROM ${DEBIAN}`, `RUN ${option} true`]));
      assert.match(error.code, /ORK_BUILD_FAILED|ORK_DOCKERFILE_REFUSED/, option);
    }
  });

  test('a build reaches the npm registry, and neither ports of the host nor the metadata service', async (t) => {
    await openMetadataService(t);
    const server = createServer((socket) => socket.end('open')).listen(0, '0.0.0.0');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await build([`FROM ${DEBIAN}`, 'RUN true']); // starts the sandbox and assigns its addresses
    const probe = (name: string, address: string, number: number): string =>
      `(timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/${number}; cat <&3' && echo ${name}=yes || echo ${name}=no)`;
    // All addresses of a host may be in the ranges that engines use: then there is nothing more to test.
    const hosts = (await hostAddresses()).map((address, index) => ({ name: `host${index}`, address }));
    const probes = [
      probe('metadata', '169.254.169.254', 80),
      probe('veth', vethAddress(), port),
      probe('docker0', '172.17.0.1', port),
      ...hosts.map(({ name, address }) => probe(name, address, port)),
    ];
    const { text } = await build([
      `FROM ${NODE}`,
      `RUN ${probes.join(' & ')} & wait`,
      'RUN npm view is-odd@3.0.1 name',
    ]);
    for (const closed of ['metadata', 'veth', 'docker0', ...hosts.map(({ name }) => name)])
      assert.match(text, new RegExp(`^${closed}=no$`, 'm'));
    assert.doesNotMatch(text, /^\w+=yes$/m);
    assert.match(text, /^is-odd$/m);
  });

  test('a sandbox that lived on without its agent is adopted', async () => {
    await build([`FROM ${DEBIAN}`, 'RUN echo one']);
    const pid = sandboxPid();
    builder.restart();
    await build([`FROM ${DEBIAN}`, 'RUN echo two']);
    assert.equal(sandboxPid(), pid);
  });

  test('an engine that was killed in a build is replaced, and nothing of the build lives on', async () => {
    const killed = failure(
      build([`FROM ${DEBIAN}`, 'RUN echo begun; sleep 98763'], {
        onLog: (text) => {
          if (text.includes('begun\n')) process.kill(sandboxPid(), 'SIGKILL');
        },
      }),
    );
    assert.equal((await killed).code, 'ORK_SANDBOX');
    await build([`FROM ${DEBIAN}`, 'RUN echo three']);
    await assertNothingRuns();
  });

  test('an engine that hangs is replaced', async (t) => {
    // Requests after the build time out too.
    builder.restart(5_000);
    t.after(() => builder.restart());
    await build([`FROM ${DEBIAN}`, 'RUN echo four']);
    const pid = sandboxPid();
    process.kill(pid, 'SIGSTOP');
    await build([`FROM ${DEBIAN}`, 'RUN echo five']);
    assert.notEqual(sandboxPid(), pid);
    assert.ok(!existsSync(`/proc/${pid}`));
  });

  test('a pid file that names somebody else harms nobody', async (t) => {
    await builder.sandbox.stop();
    const other = spawn('sleep', ['600']);
    t.after(() => other.kill('SIGKILL'));
    await writeFile(join(builder.files.runDirectory, 'a', 'dockerd.pid'), String(other.pid));
    assert.equal(await builder.sandbox.isRunning(), false);
    await builder.sandbox.stop();
    await build([`FROM ${DEBIAN}`, 'RUN echo six']);
    assert.equal(other.exitCode, null);
    assert.ok(existsSync(`/proc/${other.pid}`));
  });

  test('when idle it stops and leaves the cache', async () => {
    await builder.sandbox.stop();
    const { scope } = builder;
    const sandbox = makeSandbox({
      ...builder.files,
      scope,
      openEngine: (socketPath) => makeEngine({ socketPath, disk: 'build' }),
      idleMs: 50,
    });
    const log = { write: () => undefined, line: () => undefined };
    const request = {
      environmentId,
      limits: BuildLimits.parse({ memoryMiB: 256, diskMiB: 1024 }),
      log,
      signal: new AbortController().signal,
    };
    await sandbox.use(request, async () => assert.ok(await sandbox.isRunning()));
    await until(() => !existsSync(`/sys/class/net/ob${scope}a`), 'it stops');
    assert.equal(await sandbox.isRunning(), false);
    assert.ok(!existsSync(`/run/netns/orkb-${scope}a`));
    assert.ok(existsSync(join(builder.files.stateDirectory, 'a', 'disk.img')));
  });
});

/** The host's end of the sandbox's veth pair. */
function vethAddress(): string {
  const trie = readFileSync('/proc/net/fib_trie', 'utf8');
  return /198\.18\.\d+\.\d+(?=\n\s+\/32 host LOCAL)/.exec(trie)?.[0] ?? assert.fail('the sandbox has no veth');
}

async function hostAddresses(): Promise<string[]> {
  const trie = await readFile('/proc/net/fib_trie', 'utf8');
  const own = [...trie.matchAll(/(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/g)].map((match) => match[1] ?? '');
  return [...new Set(own)].filter((address) => !/^(?:127|169\.254|198\.18|198\.19|172)\./.test(address));
}
