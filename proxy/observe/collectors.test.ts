import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { EdgeSettings } from '../../protocol/edge.ts';
import { makeCertificate } from '../../test/harness/certificates.ts';
import { Upstream } from '../upstream/upstream.ts';
import { connectionFamilies } from './connection-metrics.ts';
import { DrainMetrics } from './drain-metrics.ts';
import { planeFamilies } from './plane-metrics.ts';
import { renderMetrics } from './snapshot.ts';
import type { Family } from './snapshot.ts';
import { TlsMetrics } from './tls-metrics.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
const ID = uuid(0);

/** Series → value, without our prefix and without zeros. */
function shown(families: readonly Family[]): Record<string, number> {
  const lines = renderMetrics([{ families }]).split('\n');
  const pairs = lines.flatMap((line): [string, number][] => {
    const [, name, value] = /^orkestr_proxy_(\S+) (\S+)$/.exec(line) ?? [];
    return name === undefined || value === '0' ? [] : [[name, Number(value)]];
  });
  return Object.fromEntries(pairs);
}

test('exchanges in flight are counted by the role of their target', () => {
  const entry = (generation: number, target: number) => ({
    id: ID,
    generation,
    targets: [{ id: uuid(target), address: '127.0.0.1', port: 80 }],
    routes: [],
    edge: EdgeSettings.parse({}),
  });
  const never = (): never => assert.fail('nothing is cut here');
  const claim = (stream: 'websocket' | null) => ({ stream, cut: never, dismiss: never });
  const upstream = new Upstream(entry(1, 1), { now: () => new Date(0), monotonic: () => 0 });
  upstream.claim(claim(null));
  upstream.claim(claim(null));
  upstream.apply(entry(2, 2));
  upstream.claim(claim(null));
  assert.deepEqual(shown(planeFamilies([upstream.counts()])), {
    [`in_flight{upstream="${ID}",role="active"}`]: 1,
    [`in_flight{upstream="${ID}",role="retired"}`]: 2,
  });
});

test('connections are counted on both sides', () => {
  assert.deepEqual(shown(connectionFamilies({ open: 3, refused: 1 }, { idle: 2, busy: 4 })), {
    connections: 3,
    connections_refused_total: 1,
    'target_connections{state="idle"}': 2,
    'target_connections{state="busy"}': 4,
  });
});

test('drains are summed per upstream; a drain of an unknown target does not count', () => {
  const drains = new DrainMetrics();
  const answer = {
    known: true,
    ms: 1500,
    forced: 2,
    streams: { carried: 5, ended: 4, closed: 1 },
    requests: { served: 9, failed: 0 },
  };
  drains.ended(ID, answer);
  drains.ended(ID, { ...answer, ms: 500, forced: 0 });
  drains.ended(ID, { ...answer, known: false });
  assert.deepEqual(shown(drains.collect()), {
    [`drains_total{upstream="${ID}"}`]: 2,
    [`drain_seconds_total{upstream="${ID}"}`]: 2,
    [`drain_forced_total{upstream="${ID}"}`]: 2,
    [`drain_streams_closed_total{upstream="${ID}"}`]: 2,
  });
  drains.forget(ID);
  assert.deepEqual(shown(drains.collect()), {});
});

test('handshakes are counted by protocol and resumption, and so are failed ones', { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-tls-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { cert, key } = await makeCertificate(folder, 'app.test', ['DNS:app.test']);
  const server = createServer({ cert, key }, (socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const metrics = new TlsMetrics();
  metrics.watch(server);
  const shake = async (more: object): Promise<Buffer | undefined> => {
    const client = connect({ port, host: '127.0.0.1', ca: cert, servername: 'app.test', ...more });
    let session: Buffer | undefined;
    client.on('session', (given: Buffer) => {
      session = given;
    });
    await once(client.resume(), 'close');
    return session;
  };
  await shake({});
  const session = await shake({ maxVersion: 'TLSv1.2' });
  await shake({ maxVersion: 'TLSv1.2', session });
  const failed = once(server, 'tlsClientError');
  connectPlain(port, '127.0.0.1')
    .end('GET / HTTP/1.1\r\n\r\n')
    .on('error', () => undefined);
  await failed;
  assert.deepEqual(shown(metrics.collect()), {
    'tls_handshakes_total{protocol="TLSv1.3",resumed="no"}': 1,
    'tls_handshakes_total{protocol="TLSv1.2",resumed="no"}': 1,
    'tls_handshakes_total{protocol="TLSv1.2",resumed="yes"}': 1,
    tls_failed_total: 1,
  });
});
