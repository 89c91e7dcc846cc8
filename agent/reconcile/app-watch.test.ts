import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DownApp, MAX_DOWN_APPS } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { HealthCheck } from '../../protocol/job.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { ContainerState } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { IDS } from '../deployment/test-job.ts';
import { containerOf } from '../deployment/test-container.ts';
import { type LookedApp, makeAppWatch } from './app-watch.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const START = Date.UTC(2030, 0, 1);
const LIVE = '018f0000-0000-7000-8000-0000000000d1';

const liveApp = (deploymentId = LIVE, healthCheck: LiveRecord['healthCheck'] = null): LiveRecord => ({
  environmentId: IDS.environment,
  projectId: IDS.project,
  deploymentId,
  entry: UpstreamEntry.parse({
    id: IDS.environment,
    generation: 3,
    targets: [{ id: deploymentId, address: '172.30.0.2', port: 80 }],
    routes: [],
  }),
  healthCheck,
  release: null,
});

/** A watch of one app. Each call of a look, or of `down`, is `afterMs` after the one before. */
function bench() {
  let at = 0;
  let run = 0;
  const watch = makeAppWatch({ now: () => START + at, monotonic: () => at });
  const look = (afterMs: number, changes: Partial<LookedApp> = {}): void => {
    at += afterMs;
    const container = containerOf(LIVE, { startedAt: `run ${run}` });
    watch.look([{ live: liveApp(), container, failure: null, inOtherHands: false, ...changes }]);
  };
  const container = (changes: Partial<ContainerState>): { container: ContainerState } => ({
    container: containerOf(LIVE, { startedAt: `run ${run}`, ...changes }),
  });
  return {
    watch,
    look,
    container,
    /** Docker has restarted it a moment ago. */
    restarted: (afterMs: number, exitCode = 1): void => {
      run += 1;
      watch.exited(LIVE, exitCode);
      look(afterMs, container({ restarts: run }));
    },
    down: (
      afterMs = 0,
    ): [since: number, code: string, message: string, exitCode: number | null, restarts: number][] => {
      at += afterMs;
      return (watch.down() ?? assert.fail('it has not looked for long enough')).map((one) => {
        const { since, error, exitCode, restarts } = DownApp.parse(one);
        return [Date.parse(since) - START, error.code, error.message, exitCode, restarts];
      });
    },
    /** It has run well for long. */
    settled: (): void => {
      for (let minute = 0; minute < 5; minute += 1) look(MINUTE);
    },
  };
}

const stopped = (changes: Partial<ContainerState> = {}): Partial<ContainerState> => ({
  running: false,
  address: null,
  exitCode: 1,
  ...changes,
});

test('an app that Docker restarts again and again is down until it has run for two minutes', () => {
  const { look, container, down, settled } = bench();
  settled();
  look(MINUTE, container(stopped({ restarts: 3 })));
  assert.deepEqual(down(), [], 'a crash');
  look(MINUTE, container(stopped({ restarts: 9 })));
  const since = 6 * MINUTE;
  assert.deepEqual(down(), [[since, 'ORK_APP_EXITED', 'The app exited with code 1.', 1, 9]]);
  look(MINUTE, container({ startedAt: 'another run', restarts: 10 }));
  assert.equal(down().length, 1, 'it has run for a moment');
  look(MINUTE, container({ startedAt: 'another run', restarts: 10 }));
  assert.deepEqual(down(MINUTE), [], 'known without another look');
  look(MINUTE, container({ startedAt: 'another run', restarts: 10 }));
  assert.deepEqual(down(), []);
});

test('an app that ends every 90 seconds is down although every look finds it running', () => {
  const { restarted, look, down, settled } = bench();
  settled();
  restarted(30 * SECOND, 137);
  look(MINUTE);
  assert.deepEqual(down(), []);
  restarted(30 * SECOND, 137);
  const killed = 'The app was ended by signal SIGKILL (exit code 137).';
  assert.deepEqual(down(), [[5.5 * MINUTE, 'ORK_APP_EXITED', killed, 137, 2]]);
});

test('one crash, several in a few seconds and one each ten minutes are nothing to report', () => {
  const { restarted, look, down, settled } = bench();
  settled();
  for (const pause of [0, SECOND, 2 * SECOND, 4 * SECOND]) restarted(pause);
  for (let minute = 0; minute < 10; minute += 1) {
    look(MINUTE);
    assert.deepEqual(down(), []);
  }
  restarted(0);
  assert.deepEqual(down(), []);
  look(10 * MINUTE);
  restarted(0);
  assert.deepEqual(down(), []);
});

test('a process that was killed for lack of memory is the reason, if the app ended by that', () => {
  const { watch, restarted, down, settled } = bench();
  settled();
  watch.killedForMemory(LIVE);
  restarted(0, 137);
  watch.killedForMemory(LIVE);
  restarted(MINUTE, 137);
  assert.equal(down()[0]?.[1], 'ORK_APP_MEMORY');
  restarted(MINUTE, 1);
  assert.equal(down()[0]?.[1], 'ORK_APP_EXITED');
});

test('a kill for lack of memory that the app survived is not the reason for a later end', () => {
  const { watch, restarted, down, settled } = bench();
  settled();
  watch.killedForMemory(LIVE);
  restarted(10 * MINUTE, 137);
  restarted(MINUTE, 137);
  assert.equal(down()[0]?.[1], 'ORK_APP_EXITED');
});

test('a container that is gone, or cannot be started, is reported with the reason', () => {
  const { look, container, down, settled } = bench();
  settled();
  const failure: ErrorReport = { code: 'ORK_START_FAILED', message: 'No such file.', evidence: ['secret'] };
  for (let minute = 0; minute < 2; minute += 1) look(MINUTE, { container: null });
  assert.deepEqual(down()[0]?.slice(1), ['ORK_APP_EXITED', 'The container of the app is gone.', null, 0]);
  look(MINUTE, { container: null, failure });
  assert.deepEqual(down()[0]?.slice(1), ['ORK_START_FAILED', 'No such file.', null, 0]);
  look(MINUTE, { ...container(stopped({ exitCode: 127 })), failure });
  assert.deepEqual(down()[0]?.slice(1), ['ORK_START_FAILED', 'No such file.', 127, 0]);
});

test('an app that runs but fails its health check after a restart is down, and its answers are not quoted', () => {
  const { watch, look, down, settled } = bench();
  settled();
  const failure: ErrorReport = { code: 'ORK_UNHEALTHY', message: 'the last check got: secret', evidence: ['secret'] };
  for (let minute = 0; minute < 2; minute += 1) look(MINUTE, { failure });
  assert.equal(down()[0]?.[1], 'ORK_UNHEALTHY');
  assert.doesNotMatch(JSON.stringify(watch.down()), /secret/);
});

test("the image's HEALTHCHECK counts where the new version had to pass it, and nowhere else", () => {
  for (const [kind, length] of Object.entries({ auto: 1, image: 1, http: 0 })) {
    const { look, container, down, settled } = bench();
    settled();
    const live = liveApp(LIVE, HealthCheck.parse({ kind }));
    for (let minute = 0; minute < 3; minute += 1) look(MINUTE, { ...container({ imageHealth: 'unhealthy' }), live });
    assert.equal(down().length, length, kind);
  }
});

test('what a deployment or removal does with the container is not held against the app', () => {
  const { look, container, down, settled } = bench();
  settled();
  for (let minute = 0; minute < 5; minute += 1) look(MINUTE, { ...container(stopped()), inOtherHands: true });
  look(MINUTE, container({ startedAt: 'another run' }));
  look(MINUTE, container({ startedAt: 'another run' }));
  assert.deepEqual(down(), []);
});

test('a new watch says nothing until it knows which apps are well, and forgets those that are not live', () => {
  const { watch, look, container, down } = bench();
  assert.equal(watch.down(), null);
  for (let minute = 0; minute < 4; minute += 1) {
    look(minute === 0 ? 0 : MINUTE, container(stopped()));
    assert.equal(watch.down(), null);
  }
  look(MINUTE, container(stopped()));
  assert.equal(down()[0]?.[0], 0);
  watch.look([{ live: liveApp(IDS.project), container: null, failure: null, inOtherHands: false }]);
  assert.deepEqual(down(), []);
});

test('of very many apps that are down a bounded number is reported', () => {
  let at = 0;
  const watch = makeAppWatch({ now: () => at, monotonic: () => at });
  const gone = { container: null, failure: null, inOtherHands: false };
  const apps = Array.from({ length: 150 }, (_, n) => ({ live: { ...liveApp(), deploymentId: `app ${n}` }, ...gone }));
  for (; at < 6 * MINUTE; at += MINUTE) watch.look(apps);
  assert.equal(watch.down()?.length, MAX_DOWN_APPS);
});
