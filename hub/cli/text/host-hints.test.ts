import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../../api/schemas.ts';
import { hostHints } from './host-hints.ts';

const status: NonNullable<Host['status']> = {
  agentVersion: '0.1.0',
  engine: { reachable: true, version: '28.2.2', liveRestore: true },
  proxy: { reachable: true },
  cgroupVersion: '2',
  memory: { totalBytes: 8, availableBytes: 4 },
  disk: { totalBytes: 100, availableBytes: 5 },
  outbox: 0,
};
const host: Host = {
  id: '01890000-0000-7000-8000-000000000005',
  name: 'vps-1',
  enrolled: true,
  online: true,
  builds: true,
  lastSeenAt: null,
  agentVersion: null,
  upgradeTo: null,
  refusal: null,
  status,
  downApps: [],
};
const mendsOf = (change: Partial<Host>) => hostHints({ ...host, ...change }).map(({ mend }) => mend);

test('a healthy host has no hints', () => {
  assert.deepEqual(hostHints(host), []);
  assert.deepEqual(hostHints({ ...host, status: null }), []);
});

test('each problem of a host has its remedy', () => {
  const engine = { reachable: false, version: null, liveRestore: null };
  const down = { ...status, engine, proxy: { reachable: false }, disk: { totalBytes: 100, availableBytes: 4 } };
  assert.deepEqual(mendsOf({ status: down }), ['ORK_ENGINE_UNREACHABLE', 'ORK_PROXY_UNREACHABLE', 'ORK_DISK_FULL']);
  assert.deepEqual(mendsOf({ online: false, status: down }), ['ORK_HOST_OFFLINE'], 'what was is not what is');
});

test('each live app that is down is named with the reason', () => {
  const error = { code: 'ORK_APP_EXITED' as const, message: 'The app exited with code 1.', evidence: [] };
  const app = { project: 'shop', environment: 'production', since: '2030-01-01T12:04:31.000Z', exitCode: 1, error };
  const hintsOf = (restarts: number) => hostHints({ ...host, downApps: [{ ...app, restarts }] });
  const line = 'shop/production is live, but down since 2030-01-01 12:04 UTC: The app exited with code 1.';
  const log = 'Its log: `orkestr logs --app --environment production --project shop`.';
  assert.deepEqual(hintsOf(0), [{ says: `${line} ${log}`, mend: 'ORK_APP_EXITED' }]);
  assert.equal(hintsOf(1)[0]?.says, `${line} Docker has restarted it once. ${log}`);
  assert.equal(hintsOf(14)[0]?.says, `${line} Docker has restarted it 14 times. ${log}`);
});

test('a host that has not joined gets the command for a new token', () => {
  assert.match(hostHints({ ...host, enrolled: false, online: false })[0]?.says ?? '', /orkestr hosts join-token vps-1/);
});

test('a refused agent gets no hint here', () => {
  const refusal = { code: 'ORK_PROTOCOL_AGENT_OLD' as const, message: 'Too old.', evidence: [] };
  assert.deepEqual(hostHints({ ...host, online: false, refusal }), []);
});
