/** Images between two real engines: the machine's own, and one in this test's sandbox. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pack } from 'tar-stream';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { BuildLimits } from '../../../protocol/job.ts';
import { makeEngine } from '../../docker/engine.ts';
import { until } from '../../../test/harness/until.ts';
import { systemClock } from '../../lib/clock.ts';
import { type Engine, orNull } from '../../lib/engine.ts';
import { readAnswer } from '../../lib/engine-answer.ts';
import { readStoredImage } from './layer-store.ts';
import { contentOf, usesContainerdStore } from './image-content.ts';
import { beginLoad } from './load.ts';
import { makeSandbox, type Sandbox } from '../sandbox.ts';
import { transferImage } from './transfer.ts';

const BASE = 'debian:trixie-slim';
const scope = randomBytes(4).toString('hex');
const host = makeEngine({ socketPath: '/var/run/docker.sock' });
const never = new AbortController().signal;
const quiet = { write: () => undefined, line: () => undefined };
let folder = '';
let sandbox: Sandbox;
/** Whether the machine's engine uses containerd's store: it then shares layers only with images that came this way. */
let isContentStore = false;

const inSandbox = <T>(work: (engine: Engine) => Promise<T>): Promise<T> =>
  sandbox.use({ environmentId: scope, limits: BuildLimits.parse({}), log: quiet, signal: never }, ({ engine }) =>
    work(engine),
  );

const idOn = async (engine: Engine, reference: string): Promise<string | undefined> =>
  (await orNull(engine.call('inspect', (docker) => docker.getImage(reference).inspect())))?.Id;

/** The host has this image, with the same id unless it names images by manifest. @param as its name on the host */
async function mustHaveArrived(engine: Engine, reference: string, as = reference): Promise<void> {
  const look = (one: Engine, name: string) => one.call('inspect', (docker) => docker.getImage(name).inspect());
  const [there, here] = await Promise.all([look(host, as), look(engine, reference)]);
  assert.ok(there && here);
  assert.equal(contentOf(there), contentOf(here));
  if (!isContentStore) assert.equal(there.Id, here.Id);
}

/** Builds this Dockerfile in `engine`; both engines drop the image after the test. */
async function buildIn(t: TestContext, engine: Engine, lines: readonly string[]): Promise<string> {
  const reference = `orkestr-transfer-${scope}:${randomUUID()}`;
  t.after(() => forget(host, reference));
  const context = pack();
  context.entry({ name: 'Dockerfile' }, lines.join('\n'));
  context.finalize();
  const options = { t: reference, version: 2 as unknown as '2', labels: { 'orkestr.scope': scope } };
  const answer = await engine.call(
    'build',
    async (docker) => readAnswer(await docker.buildImage(Readable.from(context), options)),
    { timeoutMs: 120_000 },
  );
  assert.equal(answer.error, null);
  return reference;
}

async function forget(engine: Engine, reference: string): Promise<void> {
  await orNull(engine.call('remove', (docker) => docker.getImage(reference).remove()));
}

/** An engine's response to a load, without the number of the missing layer. */
const lessKnown = (answer: unknown): object =>
  (answer as { missing: number | null }).missing === null ? {} : { missing: 0 };

const failureOf = (work: Promise<unknown>): Promise<OrkestrError> =>
  work.then(
    () => assert.fail('it should have failed'),
    (error: OrkestrError) => error,
  );

/** A Dockerfile with everything that a layer can hold besides plain files. */
const EVERYTHING = [
  `FROM ${BASE}`,
  'RUN mkdir /made && cd /made && echo one > file && ln file hard && ln -s file soft && mkfifo pipe && touch empty',
  'RUN cd /made && head -c 3000000 /dev/urandom > large && chmod 4755 large && chown 12345:54321 empty',
  `RUN cd /made && mkdir $(head -c 120 /dev/zero | tr '\\0' d) && echo long > $(head -c 120 /dev/zero | tr '\\0' d)/name`,
  "RUN cd /made && touch $(printf 'latin-\\351') 'with space' 'a\"b' && echo raw > $(printf 'r\\351')",
  'RUN rm /made/file /etc/debian_version && rm -r /usr/share/doc && mkdir /usr/share/doc && echo new > /usr/share/doc/new',
  'RUN true',
  'WORKDIR /made',
];

describe('an image between two engines', () => {
  before(async () => {
    assert.ok(await idOn(host, BASE), `the base image ${BASE} is needed: orkestr-agent base-images build debian`);
    isContentStore = await usesContainerdStore(host);
    folder = await mkdtemp(join(tmpdir(), 'ork-transfer-'));
    const files = { stateDirectory: join(folder, 'state'), runDirectory: join(folder, 'run') };
    sandbox = makeSandbox({
      ...files,
      scope,
      openEngine: (socketPath) => makeEngine({ socketPath }),
      clock: systemClock,
    });
    await inSandbox((engine) => transferImage(host, engine, BASE, never));
  });

  after(async () => {
    await sandbox.purge();
    await rm(folder, { recursive: true, force: true });
  });

  test('has the same content on both, and only the missing layers are sent', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, EVERYTHING);
      const told: string[] = [];
      const log = { line: (text: string) => void told.push(text), write: () => undefined };
      const first = await transferImage(engine, host, reference, never, { log });
      await mustHaveArrived(engine, reference);
      assert.deepEqual([first.layers, told], [{ all: 8, sent: isContentStore ? 8 : 7 }, []]);
      const mostBytes = isContentStore ? 100_000_000 : 4_000_000;
      assert.ok(first.sentBytes > 3_000_000 && first.sentBytes < mostBytes, `${first.sentBytes} bytes`);
      const alike = isContentStore ? [reference] : [];
      const again = await buildIn(t, engine, [...EVERYTHING, 'RUN echo more > /made/more']);
      const second = await transferImage(engine, host, again, never, { log, alike });
      assert.deepEqual(second.layers, { all: 9, sent: 1 });
      assert.ok(second.sentBytes < 20_000, `${second.sentBytes} bytes`);
      await mustHaveArrived(engine, again);
      const label = await buildIn(t, engine, [...EVERYTHING, 'LABEL only=config']);
      const third = await transferImage(engine, host, label, never, { log, alike });
      assert.deepEqual(third, { layers: { all: 8, sent: 0 }, sentBytes: 0 });
      await mustHaveArrived(engine, label);
    });
  });

  test('is sent in one load if an image on the host starts with the same layers', async (t) => {
    await inSandbox(async (engine) => {
      const lines = [`FROM ${BASE}`, `RUN echo ${scope} > /alike`];
      const earlier = await buildIn(t, engine, lines);
      await transferImage(engine, host, earlier, never);
      let loads = 0;
      const counted: Engine = {
        socketPath: host.socketPath,
        call: (what, work, options) => {
          if (what.startsWith('load ')) loads += 1;
          return host.call(what, work, options);
        },
      };
      const send = async (more: string, alike: readonly string[]) => {
        loads = 0;
        const reference = await buildIn(t, engine, [...lines, more]);
        const { layers } = await transferImage(engine, counted, reference, never, { alike });
        await mustHaveArrived(engine, reference);
        return { ...layers, loads };
      };
      assert.deepEqual(await send('RUN echo > /a', [BASE, earlier]), { all: 3, sent: 1, loads: 1 });
      // Images that are gone or unrelated cost a first attempt at most.
      const asked = isContentStore ? { sent: 3, loads: 1 } : { sent: 1, loads: 2 };
      assert.deepEqual(await send('RUN echo > /b', ['orkestr-transfer-none']), { all: 3, ...asked });
      // The base shows fewer layers than the host has: the one above it is sent too, and the host does not read it.
      assert.deepEqual(await send('RUN echo > /c', [BASE]), { all: 3, sent: 2, loads: 1 });
    });
  });

  test('can be loaded by a load that began before it existed, and an abandoned load leaves nothing', async (t) => {
    await inSandbox(async (engine) => {
      const reference = `orkestr-transfer-${scope}:early`;
      const dropped = beginLoad(host, reference, never);
      const begun = beginLoad(host, reference, never);
      await delay(300);
      assert.equal(begun.isOver(), false);
      dropped.drop();
      await assert.rejects(dropped.loaded);
      assert.equal(await idOn(host, reference), undefined);
      const built = await buildIn(t, engine, [`FROM ${BASE}`, `RUN echo ${scope} > /early`]);
      t.after(() => forget(host, reference));
      await transferImage(engine, host, built, never, { as: reference, alike: [BASE], load: begun });
      assert.equal(begun.isOver(), true);
      await mustHaveArrived(engine, built, reference);
      // The remains of the first load are no use for a second.
      await transferImage(engine, host, built, never, { load: dropped });
      await mustHaveArrived(engine, built);
    });
  });

  test('is sent again after the host has lost it', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, [`FROM ${BASE}`, `RUN echo ${scope} > /one`, 'RUN echo > /two']);
      await transferImage(engine, host, reference, never);
      await forget(host, reference);
      assert.deepEqual((await transferImage(engine, host, reference, never)).layers, {
        all: 3,
        sent: isContentStore ? 3 : 2,
      });
      // The image is gone from the host, or was never there: its layers turn out missing, and all are sent again.
      await forget(host, reference);
      const alike = [BASE, reference];
      await transferImage(engine, host, reference, never, { alike });
      await mustHaveArrived(engine, reference);
    });
  });

  test('is rejected if a layer does not match its digest, and the host keeps no image of it', async (t) => {
    await inSandbox(async (engine) => {
      const lines = [`FROM ${BASE}`, `RUN echo ${scope} > /changed`];
      const reference = await buildIn(t, engine, lines);
      const layer = (await readStoredImage(engine, reference))?.layers.at(-1);
      const file = join(layer?.filesPath ?? '', 'changed');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.toUpperCase().replace(/\d/, '_'));
      const changed = await failureOf(transferImage(engine, host, reference, never));
      assert.deepEqual([changed.code, await idOn(host, reference)], ['ORK_IMAGE_DAMAGED', undefined]);
      assert.match(changed.message, new RegExp(`layer ${layer?.diffId} has the digest sha256:`));
      await truncate(file, 2);
      const short = await failureOf(transferImage(engine, host, reference, never));
      assert.deepEqual([short.code, await idOn(host, reference)], ['ORK_IMAGE_DAMAGED', undefined]);
      assert.match([short.message, ...short.evidence].join(), /changed cannot be read.*bytes are missing/);
    });
  });

  test('is sent whole, with a message, if its layers cannot be read', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, [`FROM ${BASE}`, `RUN echo ${scope} > /whole`]);
      const told: string[] = [];
      const elsewhere: Engine = {
        socketPath: engine.socketPath,
        call: (what, work, options) =>
          what === `inspect image ${reference}`
            ? Promise.resolve({ Id: 'sha256:0', GraphDriver: { Name: 'btrfs', Data: null } } as never)
            : engine.call(what, work, options),
      };
      const log = { line: (text: string) => void told.push(text), write: () => undefined };
      const { layers, sentBytes } = await transferImage(elsewhere, host, reference, never, { log });
      assert.equal(layers, null);
      await mustHaveArrived(engine, reference);
      assert.ok(sentBytes > 50_000_000);
      assert.match(told.join(), /whole image/);
    });
  });

  test('is sent with all layers if the engine does not say which layer it lacks', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, [`FROM ${BASE}`, `RUN echo ${scope} > /other`]);
      const other: Engine = {
        socketPath: host.socketPath,
        call: (what, work, options) =>
          host
            .call(what, work, options)
            .then((answer) => (what.startsWith('load ') ? { ...answer, ...lessKnown(answer) } : answer)),
      };
      const { layers, sentBytes } = await transferImage(engine, other, reference, never);
      assert.deepEqual([layers, sentBytes > 50_000_000], [{ all: 2, sent: 2 }, true]);
      await mustHaveArrived(engine, reference);
    });
  });

  test('fails with ORK_DISK_FULL on a host whose disk is full', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, [`FROM ${BASE}`, `RUN echo ${scope} > /full`]);
      const full: Engine = {
        socketPath: host.socketPath,
        call: (what, work, options) =>
          host.call(
            what,
            (docker, signal) => {
              const loadImage = async () => Readable.from(['{"error":"write /x: no space left on device"}\n']);
              return work(
                what.startsWith('load') ? (Object.assign(Object.create(docker), { loadImage }) as never) : docker,
                signal,
              );
            },
            options,
          ),
      };
      assert.equal((await failureOf(transferImage(engine, full, reference, never))).code, 'ORK_DISK_FULL');
    });
  });

  test('can be cancelled in the middle, and no file stays open', async (t) => {
    await inSandbox(async (engine) => {
      const reference = await buildIn(t, engine, [`FROM ${BASE}`, 'RUN head -c 200000000 /dev/urandom > /large']);
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 100);
      const error = await failureOf(transferImage(engine, host, reference, stop.signal));
      assert.deepEqual([error.code, await idOn(host, reference)], ['ORK_CANCELLED', undefined]);
      await until(async () => !(await openFiles()).some((path) => path.startsWith(folder)), 'no file is open');
    });
  });
});

async function openFiles(): Promise<string[]> {
  const numbers = await readdir('/proc/self/fd');
  return Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')));
}
