import assert from 'node:assert/strict';
import { createServer as createHttpServer, request } from 'node:http';
import type { Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeCertificate } from '../../test/harness/certificates.ts';
import { TOKEN, useCli } from './test-cli.ts';
import type { CliResult } from './test-cli.ts';

const cli = useCli();

async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that resolves every name to this machine, and records its requests and their credentials. */
async function startProxy(t: TestContext, { refuses = false } = {}) {
  const asked: string[] = [];
  const tunnels = new Set<Socket>();
  const server = createHttpServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '');
    asked.push(`${incoming.method} ${url.origin}`);
    const { method, headers } = incoming;
    const onwards = request({ host: '127.0.0.1', port: url.port, path: url.pathname, method, headers });
    incoming.pipe(onwards).on('response', (answer) => {
      answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, answer.headers));
    });
  });
  server.on('connect', ({ url, headers }, socket: Socket) => {
    asked.push(`CONNECT ${url} ${headers['proxy-authorization'] ?? ''}`.trim());
    if (refuses) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const onwards = connect(Number(url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onwards).pipe(socket);
    });
    for (const end of [socket, onwards]) tunnels.add(end.on('error', () => end.destroy()));
    return undefined;
  });
  t.after(() => tunnels.forEach((socket) => socket.destroy()));
  return { asked, port: await listen(t, server) };
}

/** A hub with a certificate for hub.test, a name that only the proxy knows. It has no projects. */
async function startTlsHub(t: TestContext) {
  const { cert, key, certFile } = await makeCertificate(cli.home.folder, 'hub', ['DNS:hub.test', 'DNS:localhost']);
  const server = createHttpsServer({ cert, key }, (_asked, answer) => {
    answer.setHeader('content-type', 'application/json').end('[]');
  });
  const port = await listen(t, server);
  const list = (host: string, env: Record<string, string>): Promise<CliResult> =>
    cli.home.run(['project', 'list', '--json'], {
      env: { ORKESTR_URL: `https://${host}:${port}`, ORKESTR_TOKEN: TOKEN, NODE_EXTRA_CA_CERTS: certFile, ...env },
    });
  return { port, list };
}

test('the CLI reaches the hub through https_proxy with a CONNECT tunnel and the credentials of the proxy URL', async (t) => {
  const [proxy, { port, list }] = [await startProxy(t), await startTlsHub(t)];
  const there = await list('hub.test', { https_proxy: `http://ada:s%3Acret@127.0.0.1:${proxy.port}` });
  assert.deepEqual([there.code, JSON.parse(there.stdout)], [0, { projects: [] }]);
  const credentials = Buffer.from('ada:s:cret').toString('base64');
  assert.deepEqual(proxy.asked, [`CONNECT hub.test:${port} Basic ${credentials}`]);
  const bare = await list('hub.test', { HTTPS_PROXY: `127.0.0.1:${proxy.port}` });
  assert.equal(bare.code, 0, bare.stderr);
});

test('no proxy is used with no_proxy, for a hub on this machine, or when only http_proxy is set for HTTPS', async (t) => {
  const [proxy, { list }] = [await startProxy(t), await startTlsHub(t)];
  const https_proxy = `http://127.0.0.1:${proxy.port}`;
  await list('hub.test', { https_proxy, no_proxy: '.test' });
  await list('hub.test', { http_proxy: https_proxy });
  assert.equal((await list('localhost', { https_proxy })).code, 0);
  assert.deepEqual(proxy.asked, []);
});

test('the CLI reaches a hub without TLS through http_proxy', async (t) => {
  const proxy = await startProxy(t);
  const hub = await cli.script({ 'GET /projects': () => [] });
  const ORKESTR_URL = hub.url.replace('127.0.0.1', 'hub.test');
  const http_proxy = `http://127.0.0.1:${proxy.port}`;
  const result = await cli.home.run(['project', 'list', '--json'], {
    env: { ORKESTR_URL, ORKESTR_TOKEN: TOKEN, http_proxy },
  });
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(proxy.asked, [`GET ${ORKESTR_URL}`]);
});

test('when the proxy refuses, the error names the proxy without its password', async (t) => {
  const [proxy, { list }] = [await startProxy(t, { refuses: true }), await startTlsHub(t)];
  const address = `127.0.0.1:${proxy.port}`;
  const refused = await list('hub.test', { https_proxy: `http://ada:secret@${address}` });
  assert.equal(refused.code, 4);
  const { evidence } = JSON.parse(refused.stdout) as { evidence: string[] };
  assert.match(evidence.join('\n'), new RegExp(`403[^]*^https_proxy: http://${address}$`, 'm'));
  assert.ok(!refused.stdout.includes('secret'));
  const wrong = await list('hub.test', { https_proxy: 'ftp://x:secret@y' });
  assert.deepEqual([wrong.code, JSON.parse(wrong.stdout).code], [2, 'ORK_CONFIG']);
  assert.ok(!wrong.stdout.includes('secret'));
});
