import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_FRAME_BYTES } from '../../protocol/agent-link.ts';
import type { Report } from '../../protocol/agent-link.ts';
import { systemClock } from '../lib/clock.ts';
import { deployJob } from '../deployment/test-job.ts';
import { linkBench, RUNNING } from './test-link.ts';

const AT = new Date(0).toISOString();

test('after lost acknowledgements the next connection resumes where the hub says, and no report is missing', async (t) => {
  const { hub, report, behaviour } = await linkBench(t, { acknowledge: false });
  for (let index = 0; index < 5; index++) report();
  await hub.until(() => hub.received.length === 5);
  behaviour.remembers = 2;
  behaviour.acknowledge = true;
  hub.cut();
  await hub.until(() => hub.received.length === 8);
  assert.deepEqual(hub.received, [1, 2, 3, 4, 5, 3, 4, 5]);
  assert.equal(hub.stored.size, 5);
});

test('a report beyond the limits of the hub is sent without the excess and blocks no other report', async (t) => {
  const { hub } = await linkBench(t, {}, {}, ({ outbox }) => {
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

test('a hub that was offline gets all reports in order when it is back', async (t) => {
  const { hub, report } = await linkBench(t);
  await hub.until(() => hub.messages.length > 0);
  hub.cut();
  for (let index = 0; index < 100; index++) report();
  await hub.until(() => hub.stored.size === 100);
  assert.deepEqual(
    [...hub.stored.keys()],
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
});

test('at most one window of reports is sent without acknowledgement', async (t) => {
  const { hub, report } = await linkBench(t, { acknowledge: false });
  for (let index = 0; index < 100; index++) report();
  await hub.until(() => hub.received.length === 32);
  await systemClock.sleep(50);
  assert.equal(hub.received.length, 32);
  hub.send({ type: 'ack', sequence: 10 });
  await hub.until(() => hub.received.length === 42);
});

test('an acknowledgement of reports that were never sent discards none of them', async (t) => {
  const { hub, report, journal } = await linkBench(t, { acknowledge: false });
  for (let index = 0; index < 40; index++) report();
  await hub.until(() => hub.received.length === 32);
  hub.send({ type: 'ack', sequence: 1_000_000 });
  await hub.until(() => hub.received.length === 40);
  assert.equal(journal.outbox.size(), 8);
});

test('a report that stays unacknowledged on a live connection closes that connection', async (t) => {
  const { hub, report, behaviour } = await linkBench(
    t,
    { acknowledge: false, remembers: 0 },
    { pingMs: 20, deadMs: 100 },
  );
  report();
  await hub.until(() => hub.connections() === 2);
  behaviour.acknowledge = true;
  await hub.until(() => hub.received.length >= 2);
});

test('a new journal continues the sequence numbers of a hub that knows the host, so no report looks like a replay', async (t) => {
  const { hub } = await linkBench(t, { remembers: 700 }, {}, (journal) => {
    journal.outbox.add({ kind: 'deployment', deploymentId: RUNNING, generation: 1, status: 'failed', at: AT });
  });
  await hub.until(() => hub.received.length === 1);
  assert.deepEqual(hub.received, [701]);
});

test('log ranges are sent as bytes of the file; a mark no longer than the range replaces a missing one', async (t) => {
  const { hub, journal } = await linkBench(t, {}, {}, (journal) => {
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
