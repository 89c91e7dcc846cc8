import assert from 'node:assert/strict';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { HALF_COPY_SUFFIX } from '../../protocol/service/database-copy.ts';
import type { Clock } from '../deployment/ports.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { hubDatabase } from './databases.ts';
import { DEFAULT_PATIENCE, hubPatient, untilWell, type Look, type UpgradeParts } from './health.ts';
import { layoutAt } from './layout.ts';

const MINUTE = 60_000;

/** How long untilWell waits for a hub that never serves, if it copies its database for `copies` ms; both ms. */
async function waitedFor(t: TestContext, copies: number): Promise<number> {
  const layout = layoutAt(temporaryFolder(t));
  mkdirSync(layout.hubState, { recursive: true });
  const copy = `${hubDatabase(layout)}${HALF_COPY_SUFFIX}`;
  let now = Date.UTC(2030, 0, 1);
  const began = now;
  const write = (): void => {
    if (now - began < copies) utimesSync(copy, now / 1000, now / 1000);
    else rmSync(copy, { force: true });
  };
  const clock: Clock = {
    now: () => now,
    monotonic: () => now - began,
    async sleep(ms) {
      now += ms;
      write();
    },
  };
  writeFileSync(copy, '');
  write();
  const starting = { failed: false, restarts: 0, active: false, mainPid: 7 };
  const services = { state: async () => starting, lines: async () => [] };
  const parts = { layout, clock, services, patience: DEFAULT_PATIENCE } as unknown as UpgradeParts;
  await assert.rejects(
    untilWell(parts, hubPatient(parts, '1.1.0', null)),
    /not healthy in 60 s\. The hub is not ready/,
  );
  return now - began;
}

test('a hub that copies its database gets a minute after the copy', async (t) => {
  const ms = await waitedFor(t, 10 * MINUTE);
  assert.ok(ms > 11 * MINUTE - 1000 && ms < 11 * MINUTE + 1000, `${ms} ms`);
});

test('a hub that copies nothing gets a minute', async (t) => {
  const ms = await waitedFor(t, 0);
  assert.ok(ms > MINUTE && ms < MINUTE + 1000, `${ms} ms`);
});

const ABSENT: Look = { well: false, why: 'No agent is running.', silent: false };
const UNCONNECTED: Look = { well: false, why: 'no connection', silent: false, answers: true };
const WELL: Look = { well: true, run: '7' };

/**
 * The outcome for a patient with these looks over time, ms: whether it got well or was given up, and after how long.
 */
async function outcome(at: (ms: number) => Look): Promise<string> {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms) {
      now += ms;
    },
  };
  const services = {
    state: async () => ({ failed: false, restarts: 0, active: true, mainPid: 7 }),
    lines: async () => [],
  };
  const parts = { clock, services, patience: DEFAULT_PATIENCE } as unknown as UpgradeParts;
  const ended = await untilWell(parts, { unit: 'x', look: async () => at(now) }).then(
    () => 'well',
    () => 'given up',
  );
  return `${ended} after ${Math.round(now / 1000)} s`;
}

test('a service that answers late on a busy machine gets a minute from then on to become healthy', async () => {
  const late = (answers: number, well: number) =>
    outcome((ms) => (ms < answers * 1000 ? ABSENT : ms < well * 1000 ? UNCONNECTED : WELL));
  assert.equal(await late(47, 90), 'well after 93 s');
  assert.equal(await late(47, 200), 'given up after 107 s');
  assert.equal(await late(70, 80), 'given up after 60 s');
});

test('a service that is healthy at the last moment gets time to stay so; one that answers off and on does not', async () => {
  assert.equal(await outcome((ms) => (ms < 59_000 ? ABSENT : WELL)), 'well after 62 s');
  assert.equal(await outcome((ms) => ((ms / 1000) % 20 < 10 ? ABSENT : UNCONNECTED)), 'given up after 70 s');
});
