/** Open challenges of a CA, whose connection arrives at any of the workers. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../../proxy/config.ts';
import { closeSockets, openSockets } from '../../../proxy/listen/sockets.ts';
import { PlaneGroup } from '../../../proxy/planes/group.ts';
import { WorkerPool } from '../../../proxy/workers/pool.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { temporaryFolder, Wire } from './harness.ts';

const WORKERS = 2;
/** The kernel spreads connections at random: with so many, each worker has some. */
const CONNECTIONS = 40;

/** Worker processes without a table, and the group that controls them. */
async function startWorkers(t: TestContext) {
  const log = makeLogger('proxy', 'silent');
  const group = new PlaneGroup(WORKERS, log);
  const address = { host: '127.0.0.1', port: 0 };
  const sockets = await openSockets({ inherited: [], listen: address, listenTls: address, workers: WORKERS });
  const serving = {
    engine: 'fast' as const,
    trusted: [],
    proxyProtocol: false,
    accessLog: 'off' as const,
    limits: DEFAULT_LIMITS,
    timeouts: DEFAULT_TIMEOUTS,
    workers: WORKERS,
    httpsPort: 443,
  };
  const { pool } = await WorkerPool.start({ serving, logLevel: 'silent', sockets }, group, log);
  t.after(async () => {
    closeSockets(sockets);
    await pool.close(0);
  });
  const portOf = (kind: 'http' | 'https'): number => sockets.find((socket) => socket.kind === kind)?.port ?? 0;
  return { group, http: portOf('http'), https: portOf('https') };
}

/** What each of many connections receives for an HTTP-01 challenge: 200 and its body, or another status. */
async function httpAnswers(port: number): Promise<Set<string>> {
  const ask = async (): Promise<string> => {
    const socket = createConnection(port, '127.0.0.1');
    const wire = new Wire(socket).send('GET /.well-known/acme-challenge/token-1 HTTP/1.1\r\nHost: app.test\r\n\r\n');
    try {
      const text = await wire.sees(/^HTTP\/1\.1 (?:200 [^]*key$|[^2])/);
      return text.startsWith('HTTP/1.1 200 ') ? `200 ${text.split('\r\n\r\n')[1]}` : text.slice(9, 12);
    } finally {
      socket.destroy();
    }
  };
  return new Set(await Promise.all(Array.from({ length: CONNECTIONS }, ask)));
}

/** The serial number of the certificate that each of many TLS-ALPN-01 connections gets, or the code of its error. */
async function alpnAnswers(port: number): Promise<Set<string>> {
  const ask = async (): Promise<string> => {
    const options = { host: '127.0.0.1', port, servername: 'app.test', rejectUnauthorized: false };
    const socket = connect({ ...options, ALPNProtocols: ['acme-tls/1'] });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerX509Certificate()?.serialNumber ?? '';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    } finally {
      socket.destroy();
    }
  };
  return new Set(await Promise.all(Array.from({ length: CONNECTIONS }, ask)));
}

test('each worker answers an open challenge, and none does once it is closed', async (t) => {
  const { group, http, https } = await startWorkers(t);
  const { cert, key } = await makeCertificate(await temporaryFolder(t), 'challenge', ['DNS:app.test']);
  await group.secure({
    challenges: { http: { 'token-1': 'token-1.key' }, alpn: { 'app.test': { chain: cert, privateKey: key } } },
  });
  assert.deepEqual([...(await httpAnswers(http))], ['200 token-1.key']);
  assert.deepEqual([...(await alpnAnswers(https))], [new X509Certificate(cert).serialNumber]);
  await group.secure({ challenges: { http: {}, alpn: {} } });
  assert.deepEqual([...(await httpAnswers(http))], ['404']);
  const refused = [...(await alpnAnswers(https))].join();
  assert.match(refused, /^ERR_SSL_\w+$/);
});
