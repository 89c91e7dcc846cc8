import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { EdgeNews, Report } from '../../protocol/agent-link.ts';
import { MAX_FRAME_BYTES } from '../../protocol/agent-link.ts';
import { APP_LOG_WINDOW } from '../../protocol/app-log.ts';
import type { AppLogPart, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { makeKeyPair, signEdgeOrder, signJob, signText } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import type { Journal } from '../journal/journal.ts';
import { systemClock } from '../lib/clock.ts';
import { deployJob, IDS, openTestJournal, silent, temporaryFolder } from '../test-bench.ts';
import { DEFAULT_TIMING, linkUrl } from './connection.ts';
import type { LinkTiming } from './connection.ts';
import { startHubLink } from './session.ts';
import type { HubLink } from './session.ts';
import { startTestHub } from './test-hub.ts';
import type { TestHub, TestHubBehaviour } from './test-hub.ts';
import { noUpgrades } from './upgrades.ts';
import type { HostUpgrades } from './upgrades.ts';
import { MOST_READS } from './app-logs.ts';

interface Bench {
  readonly hub: TestHub;
  readonly link: HubLink;
  readonly journal: Journal;
  readonly behaviour: TestHubBehaviour;
  readonly accepted: Job[];
  readonly refused: { deploymentId: string; error: ErrorReport }[];
  readonly cancelled: string[];
  readonly orders: EdgeOrder[];
  readonly upgrades: HostUpgrades;
  /** The reads that the hub has ordered. */
  readonly appLogs: ScriptedRead[];
  readonly report: (status?: 'running' | 'failed') => void;
}

async function bench(
  t: TestContext,
  behaviour: Partial<TestHubBehaviour> = {},
  timing: Partial<LinkTiming> = {},
  before: (journal: Journal) => void = () => undefined,
  clock = systemClock,
): Promise<Bench> {
  const host = makeKeyPair();
  const whole: TestHubBehaviour = { hostPublicKey: host.publicKey, ...behaviour };
  const hub = await startTestHub(whole);
  const journal = await openTestJournal(temporaryFolder(t));
  before(journal);
  const upgrades = noUpgrades('Not in a test.');
  const appLogs: ScriptedRead[] = [];
  const accepted: Job[] = [];
  const refused: Bench['refused'] = [];
  const cancelled: string[] = [];
  const orders: EdgeOrder[] = [];
  let tellEdge: ((news: EdgeNews) => void) | null = null;
  const link = startHubLink({
    hubUrl: hub.url,
    credentials: {
      hostId: IDS.host,
      hubPublicKey: hub.keys.publicKey,
      sign: (text) => signText(text, host.privateKey),
    },
    agentVersion: 'test',
    outbox: journal.outbox,
    readLog: (_deployment, _step, offset, length) => Buffer.from('abcdefghij'.slice(offset, offset + length)),
    running: () => [RUNNING],
    status: async () => ({
      agentVersion: 'test',
      engine: { reachable: true, version: '20.10', liveRestore: true },
      proxy: { reachable: true },
      cgroupVersion: '1',
      memory: { totalBytes: 1, availableBytes: 1 },
      disk: { totalBytes: 1, availableBytes: 1 },
      outbox: journal.outbox.size(),
    }),
    jobs: {
      accept: (job) => void accepted.push(job),
      refuse: ({ deploymentId }, error) => void refused.push({ deploymentId, error }),
      cancel: (deploymentId) => void cancelled.push(deploymentId),
    },
    upgrades,
    edge: {
      accept: (order) => void orders.push(order),
      refuse: ({ environmentId, revision }, error) =>
        tellEdge?.({ type: 'edge-state', environmentId, revision, error }),
      onNews: (listener) => void (tellEdge = listener),
    },
    appLogs: {
      open(request) {
        const read = new ScriptedRead(request);
        appLogs.push(read);
        return read;
      },
    },
    timing: { ...DEFAULT_TIMING, ...timing },
    pace: { baseMs: 10, capMs: 20 },
    clock,
    random: () => 0.5,
    log: silent,
  });
  t.after(async () => {
    await link.stop();
    await hub.close();
    journal.close();
  });
  const report = (status: 'running' | 'failed' = 'running'): void => {
    const at = new Date(0).toISOString();
    journal.outbox.add({ kind: 'deployment', deploymentId: RUNNING, generation: 1, status, at });
  };
  return { hub, link, journal, behaviour: whole, accepted, refused, cancelled, orders, upgrades, appLogs, report };
}

/** The log of an app that never ends to write. */
class ScriptedRead implements AppLogRead {
  readonly request: AppLogRequest;
  taken = 0;
  closed = false;
  /** What the next call does. */
  fails: Error | null = null;

  constructor(request: AppLogRequest) {
    this.request = request;
  }

  async next(): Promise<AppLogPart | null> {
    if (this.fails !== null) throw this.fails;
    this.taken += 1;
    const line = { at: '2030-01-01T00:00:00.000000001Z', stream: 'stdout' as const, text: `line ${this.taken}` };
    return { deploymentId: RUNNING, leftOut: 0, lines: [line] };
  }

  close(): void {
    this.closed = true;
  }
}

const RUNNING = '018f0000-0000-7000-8000-0000000000ff';

test('the socket of a hub is the same address with wss for https and ws for http', () => {
  assert.equal(String(linkUrl('https://hub.example.com')), 'wss://hub.example.com/agent');
  assert.equal(String(linkUrl('http://127.0.0.1:7700/')), 'ws://127.0.0.1:7700/agent');
});

test('both sides prove their key, then status and reports flow and are forgotten once acknowledged', async (t) => {
  const { hub, journal, report, link } = await bench(t);
  report();
  report('failed');
  await hub.until(() => hub.stored.size === 2 && hub.messages.some(({ type }) => type === 'status'));
  while (journal.outbox.size() > 0) await systemClock.sleep(1);
  assert.deepEqual(hub.received, [1, 2]);
  assert.equal(link.state().connected, true);
  const hello = hub.messages[0];
  assert.ok(hello?.type === 'hello');
  assert.deepEqual(hello.running, [RUNNING]);
});

test('a hub of the version before hears no word that it does not know', async (t) => {
  const { hub, link, appLogs, report } = await bench(t, { protocol: OLDEST_PROTOCOL });
  await hub.until(() => hub.messages.length > 1);
  assert.equal(link.state().connected, true);
  // It would never order one: whatever comes of it is not said.
  hub.send({ type: 'app-log', readId: readIdOf(1), ...ORDER });
  await until(() => appLogs[0]?.taken === APP_LOG_WINDOW + 1);
  report();
  await hub.until(() => hub.stored.size === 1);
  assert.deepEqual(
    hub.messages.filter(({ type }) => type === 'app-log-chunk'),
    [],
  );
});

test('a hub of today hears how an upgrade stands at each change and after each welcome', async (t) => {
  const { hub, upgrades } = await bench(t);
  await hub.until(() => hub.messages.length > 1);
  hub.send({ type: 'upgrade', upgradeId: RUNNING, version: '9.9.9' });
  const told = () => hub.messages.filter((message) => message.type === 'upgrade-state');
  await hub.until(() => told().length === 1);
  assert.deepEqual(told()[0], upgrades.news());
  assert.equal(told()[0]?.error?.code, 'ORK_UPGRADE_UNSUPPORTED');
  hub.cut();
  await hub.until(() => told().length === 2);
});

test('a hub that chose a version which this agent cannot speak is left', async (t) => {
  const { hub, link } = await bench(t, { protocol: PROTOCOL_VERSION + 1 });
  await hub.until(() => hub.connections() >= 2);
  assert.equal(link.state().lastCode, 'ORK_PROTOCOL');
  assert.match(link.state().lastError ?? '', /speaks protocol 4, this agent 2 to 3/);
});

test('a hub that refuses the version of this agent is asked again ten times slower', async (t) => {
  const waits: number[] = [];
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => (waits.push(ms), systemClock.sleep(1, signal)),
  };
  const refusal = JSON.stringify({ type: 'error', code: 'ORK_PROTOCOL_AGENT_OLD', message: 'Upgrade the agent.' });
  const { hub, link } = await bench(t, { greeting: refusal }, {}, undefined, clock);
  await hub.until(() => hub.connections() >= 3);
  assert.deepEqual(waits.slice(0, 2), [50, 100]);
  assert.equal(link.state().lastCode, 'ORK_PROTOCOL_AGENT_OLD');
});

test('a machine that was made from an image of this one is told, and dialled beside less and less often', async (t) => {
  const waits: number[] = [];
  let now = 0;
  const clock = {
    ...systemClock,
    monotonic: () => (now += 15_000), // each connection holds for long
    sleep: (ms: number, signal?: AbortSignal) => (waits.push(ms), systemClock.sleep(1, signal)),
  };
  const { hub, link } = await bench(t, {}, {}, undefined, clock);
  for (const sessions of [1, 2, 3]) {
    if (sessions === 1) await hub.nextSession();
    const next = hub.nextSession();
    hub.replace();
    await next;
  }
  assert.deepEqual(waits, [50, 100, 100]);
  await hub.until(() => link.state().connected);
  assert.ok(link.state().twiceAt, 'also while it is connected again');

  const next = hub.nextSession();
  hub.cut();
  await next;
  assert.equal(waits.at(-1), 5, 'what else ends a connection costs no more than before');
});

test('a code that this version does not know costs the code, not the message', async (t) => {
  const { hub, link } = await bench(t, {
    greeting: JSON.stringify({ type: 'error', code: 'OF_TOMORROW', message: 'So it is.' }),
  });
  await hub.until(() => hub.connections() >= 2);
  assert.equal(link.state().lastCode, 'ORK_CODE_UNKNOWN');
  assert.match(link.state().lastError ?? '', /So it is/);
});

test('a hub that does not have the pinned key gets nothing', async (t) => {
  const { hub, report, link } = await bench(t, { impostor: true });
  report();
  await hub.until(() => hub.connections() >= 3);
  assert.deepEqual(hub.received, []);
  assert.equal(link.state().connected, false);
  assert.match(link.state().lastError ?? '', /not the hub/);
});

test('a host whose key the hub does not know dials again and tells why', async (t) => {
  const { hub, link } = await bench(t, { hostPublicKey: makeKeyPair().publicKey });
  await hub.until(() => hub.connections() >= 2);
  assert.match(link.state().lastError ?? '', /not the key of this host/);
});

test('lost acknowledgements: the next connection starts where the hub says, and nothing is missing', async (t) => {
  const { hub, report, behaviour } = await bench(t, { acknowledge: false });
  for (let index = 0; index < 5; index++) report();
  await hub.until(() => hub.received.length === 5);
  behaviour.remembers = 2;
  behaviour.acknowledge = true;
  hub.cut();
  await hub.until(() => hub.received.length === 8);
  assert.deepEqual(hub.received, [1, 2, 3, 4, 5, 3, 4, 5]);
  assert.equal(hub.stored.size, 5);
});

test('what the hub would not take is told without what is too much of it, and holds nothing up', async (t) => {
  const { hub } = await bench(t, {}, {}, ({ outbox }) => {
    const step = {
      kind: 'step',
      deploymentId: RUNNING,
      step: 'analyze',
      status: 'done',
      startedAt: AT,
      ms: 1,
    } as const;
    const error = {
      code: 'ORK_INTERNAL',
      message: 'm'.repeat(5000),
      evidence: Array<string>(70).fill('e'.repeat(3000)),
    } as const;
    outbox.add({ ...step, output: { text: 'x'.repeat(MAX_FRAME_BYTES) } });
    outbox.add({ ...step, output: 'kept', note: 'taken as it is' });
    outbox.add({ ...step, note: 'n'.repeat(1001) });
    outbox.add({ kind: 'deployment', deploymentId: RUNNING, generation: 1, status: 'failed', at: AT, error });
  });
  await hub.until(() => hub.connections() > 1 || hub.stored.size === 4);
  assert.equal(hub.connections(), 1);
  assert.partialDeepStrictEqual(hub.stored.get(1), { kind: 'step', status: 'done' });
  assert.partialDeepStrictEqual(hub.stored.get(2), { output: 'kept', note: 'taken as it is' });
  assert.partialDeepStrictEqual(hub.stored.get(4), { status: 'failed', error: { message: 'm'.repeat(4000) } });
});

test('a hub that was away gets everything in order when it is back', async (t) => {
  const { hub, report } = await bench(t);
  await hub.until(() => hub.messages.length > 0);
  hub.cut();
  for (let index = 0; index < 100; index++) report();
  await hub.until(() => hub.stored.size === 100);
  assert.deepEqual(
    [...hub.stored.keys()],
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
});

test('no more than a window of reports is on the wire without acknowledgement', async (t) => {
  const { hub, report } = await bench(t, { acknowledge: false });
  for (let index = 0; index < 100; index++) report();
  await hub.until(() => hub.received.length === 32);
  await systemClock.sleep(50);
  assert.equal(hub.received.length, 32);
  hub.send({ type: 'ack', sequence: 10 });
  await hub.until(() => hub.received.length === 42);
});

test('an acknowledgement of reports that were never sent throws none of them away', async (t) => {
  const { hub, report, journal } = await bench(t, { acknowledge: false });
  for (let index = 0; index < 40; index++) report();
  await hub.until(() => hub.received.length === 32);
  hub.send({ type: 'ack', sequence: 1_000_000 });
  await hub.until(() => hub.received.length === 40);
  assert.equal(journal.outbox.size(), 8);
});

test('a half-open connection is found by its silence and replaced', async (t) => {
  const { hub } = await bench(t, {}, { pingMs: 20, deadMs: 100 });
  await hub.until(() => hub.messages.length > 0);
  hub.freeze();
  await hub.until(() => hub.connections() === 2);
});

test('a report that is never acknowledged on a live connection ends that connection', async (t) => {
  const { hub, report, behaviour } = await bench(t, { acknowledge: false, remembers: 0 }, { pingMs: 20, deadMs: 100 });
  report();
  await hub.until(() => hub.connections() === 2);
  behaviour.acknowledge = true;
  await hub.until(() => hub.received.length >= 2);
});

test('a journal that is new while the hub knows the host numbers on, so that nothing is taken for a replay', async (t) => {
  const { hub } = await bench(t, { remembers: 700 }, {}, (journal) => {
    journal.outbox.add({ kind: 'deployment', deploymentId: RUNNING, generation: 1, status: 'failed', at: AT });
  });
  await hub.until(() => hub.received.length === 1);
  assert.deepEqual(hub.received, [701]);
});

const AT = new Date(0).toISOString();

test('log ranges travel as bytes read from the file; what is gone leaves a mark no longer than itself', async (t) => {
  const { hub, journal } = await bench(t, {}, {}, (journal) => {
    const job = deployJob({ deploymentId: RUNNING });
    journal.accept(job);
    journal.outbox.addLogRange(RUNNING, 'build', 0, 10);
    journal.outbox.addLogRange(RUNNING, 'build', 10, 20);
  });
  await hub.until(() => hub.received.length === 2);
  const logs = [...hub.stored.values()].filter(
    (report): report is Extract<Report, { kind: 'log' }> => report.kind === 'log',
  );
  assert.equal(Buffer.from(logs[0]?.data ?? '', 'base64').toString(), 'abcdefghij');
  assert.equal(Buffer.from(logs[1]?.data ?? '', 'base64').length, 20);
  assert.match(Buffer.from(logs[1]?.data ?? '', 'base64').toString(), /^\[orkestr: 20 bytes/);
  assert.equal(journal.outbox.logEnd(RUNNING, 'build'), 30);
});

test('a signed job for this host is taken, each delivery of it', async (t) => {
  const { hub, accepted } = await bench(t);
  await hub.until(() => hub.messages.length > 0);
  const job = deployJob();
  for (let index = 0; index < 5; index++) {
    hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 60 });
  }
  while (accepted.length < 5) await systemClock.sleep(1);
  assert.equal(accepted[0]?.deploymentId, job.deploymentId);
});

test('a job with a bad signature, or for another host, is refused and the link stays', async (t) => {
  const { hub, accepted, refused, cancelled } = await bench(t);
  await hub.until(() => hub.messages.length > 0);
  const forged = signJob(deployJob(), makeKeyPair().privateKey);
  const changed = signJob(deployJob(), hub.keys.privateKey);
  const foreign = signJob(deployJob({ hostId: IDS.project }), hub.keys.privateKey);
  hub.send({ type: 'job', envelope: forged, leaseSeconds: 60 });
  hub.send({
    type: 'job',
    envelope: { ...changed, payload: changed.payload.replace('main', 'evil') },
    leaseSeconds: 60,
  });
  hub.send({ type: 'job', envelope: foreign, leaseSeconds: 60 });
  hub.send({ type: 'cancel', deploymentId: RUNNING });
  while (cancelled.length === 0) await systemClock.sleep(1);
  assert.deepEqual([accepted, refused], [[], []]);
  assert.equal(hub.connections(), 1);
});

test('a signed job that this version cannot read is reported as refused', async (t) => {
  const { hub, refused } = await bench(t);
  await hub.until(() => hub.messages.length > 0);
  const job = { ...deployJob(), version: 99 } as unknown as Job;
  hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 60 });
  while (refused.length === 0) await systemClock.sleep(1);
  assert.equal(refused[0]?.deploymentId, job.deploymentId);
  assert.equal(refused[0]?.error.code, 'ORK_JOB_REFUSED');
});

const HOSTILE: readonly [string, string | Buffer][] = [
  ['no JSON', 'hello'],
  ['an empty frame', ''],
  ['JSON that is no object', '[1,2]'],
  ['null', 'null'],
  ['an unknown type', '{"type":"shutdown"}'],
  ['a second challenge', JSON.stringify({ type: 'challenge', nonce: 'n'.repeat(43) })],
  ['a job with a field of a wrong type', '{"type":"job","envelope":{"payload":1,"signature":2},"leaseSeconds":1}'],
  ['__proto__', '{"type":"ack","__proto__":{"sequence":5}}'],
  ['a negative acknowledgement', '{"type":"ack","sequence":-1}'],
  ['a fraction of an acknowledgement', '{"type":"ack","sequence":1.5}'],
  ['binary', Buffer.from([0, 1, 2, 3])],
  ['more than a frame may hold', 'x'.repeat(1_100_000)],
  ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
];

for (const [what, frame] of HOSTILE) {
  test(`${what} from the hub ends the connection, not the process, and the next one works`, async (t) => {
    const { hub, report } = await bench(t);
    await hub.until(() => hub.messages.length > 0);
    hub.send(frame);
    await hub.until(() => hub.connections() === 2);
    report();
    await hub.until(() => hub.stored.size === 1);
  });
}

test('something else than a challenge at the start is refused', async (t) => {
  const { hub } = await bench(t, {
    greeting: '{"type":"cancel","deploymentId":"018f0000-0000-7000-8000-0000000000ff"}',
  });
  await hub.until(() => hub.connections() === 2);
  assert.deepEqual(hub.messages, []);
});

test('leases of running deployments are renewed long before they end', async (t) => {
  const { hub } = await bench(t, {}, { pingMs: 20, deadMs: 10_000 });
  await hub.until(() => hub.messages.length > 0);
  const job = deployJob();
  hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 1 });
  await hub.until(() => hub.messages.some((one) => one.type === 'renew' && one.deploymentIds[0] === RUNNING));
});

test('edge settings are taken when the hub has signed them for this host; what cannot be read is told', async (t) => {
  const { hub, orders } = await bench(t);
  await hub.until(() => hub.messages.length > 1);
  const order: EdgeOrder = {
    version: 1,
    kind: 'edge',
    hostId: IDS.host,
    issuedAt: new Date(0).toISOString(),
    environmentId: IDS.environment,
    revision: 1,
    routes: [],
    edge: EdgeSettings.parse({ maintenance: true }),
  };
  const send = (one: object, key = hub.keys.privateKey): void =>
    hub.send({ type: 'edge', envelope: signEdgeOrder(one as EdgeOrder, key) });
  send({ ...order, revision: 2 }, makeKeyPair().privateKey);
  send({ ...order, hostId: RUNNING, revision: 3 });
  send({ ...order, revision: 4, edge: { https: 'as of tomorrow' } });
  send(order);
  await hub.until(() => hub.messages.some(({ type }) => type === 'edge-state'));
  while (orders.length === 0) await systemClock.sleep(1);
  assert.deepEqual(orders, [order]);
  const told = hub.messages.flatMap((message) => (message.type === 'edge-state' ? [message] : []));
  assert.deepEqual(
    told.map(({ revision, error }) => [revision, error?.code]),
    [[4, 'ORK_JOB_REFUSED']],
  );
});

const ORDER: AppLogRequest = { environmentId: RUNNING, tail: 5, sinceSeconds: null, follow: true, after: [] };
const readIdOf = (n: number): string => `018f0000-0000-7000-8000-${String(n).padStart(12, '0')}`;

test('an app log is sent as far as there is credit, reports go on meanwhile, and it ends when the hub closes it', async (t) => {
  const { hub, appLogs, report } = await bench(t);
  await hub.until(() => hub.messages.some(({ type }) => type === 'status'));
  const chunks = () => hub.messages.filter((message) => message.type === 'app-log-chunk');
  hub.send({ type: 'app-log', readId: readIdOf(1), ...ORDER });
  await hub.until(() => chunks().length === APP_LOG_WINDOW);
  assert.deepEqual(appLogs[0]?.request, ORDER);
  report();
  await hub.until(() => hub.stored.size === 1);
  assert.equal(chunks().length, APP_LOG_WINDOW, 'An app that writes without end waits for credit.');
  hub.send({ type: 'app-log-credit', readId: readIdOf(1), chunks: 2 });
  await hub.until(() => chunks().length === APP_LOG_WINDOW + 2);
  assert.deepEqual(
    chunks().map(({ lines }) => lines[0]?.text),
    [1, 2, 3, 4, 5, 6].map((n) => `line ${n}`),
  );
  hub.send({ type: 'app-log-close', readId: readIdOf(1) });
  hub.send({ type: 'app-log-credit', readId: readIdOf(1), chunks: 2 });
  await until(() => appLogs[0]?.closed === true);
  hub.send({ type: 'app-log', readId: readIdOf(2), ...ORDER });
  await hub.until(() => chunks().length === 2 * APP_LOG_WINDOW + 2);
  assert.ok(!hub.messages.some(({ type }) => type === 'app-log-end'), 'Nobody is told of an end that was asked for.');
  hub.cut();
  await until(() => appLogs[1]?.closed === true);
});

test('a read that cannot go on is told by its code, and so are those that are too many', async (t) => {
  const { hub, appLogs } = await bench(t);
  await hub.until(() => hub.messages.some(({ type }) => type === 'status'));
  const ends = () => hub.messages.filter((message) => message.type === 'app-log-end');
  for (let n = 0; n <= MOST_READS; n += 1) hub.send({ type: 'app-log', readId: readIdOf(n), ...ORDER });
  await hub.until(() => ends().length === 1);
  assert.partialDeepStrictEqual(ends()[0], {
    readId: readIdOf(MOST_READS),
    error: { code: 'ORK_TOO_MANY_REQUESTS' },
  });
  const first = appLogs[0] ?? assert.fail();
  first.fails = new OrkestrError('ORK_ENGINE_TIMEOUT', 'Docker hangs.');
  hub.send({ type: 'app-log-credit', readId: readIdOf(0), chunks: 2 });
  await hub.until(() => ends().length === 2);
  assert.partialDeepStrictEqual(ends()[1], { readId: readIdOf(0), error: { code: 'ORK_ENGINE_TIMEOUT' } });
  hub.send({ type: 'app-log', readId: readIdOf(99), ...ORDER });
  await until(() => appLogs.length === MOST_READS + 1);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(1);
}
