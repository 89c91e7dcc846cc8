/** The proxy behind nginx with exactly the configuration of docs/beside.md. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { ROOT } from '../../../installer/stack/stack.ts';
import { freePort } from '../../harness/free-port.ts';
import { until } from '../../harness/until.ts';
import { entryFor, listen, startEdge, temporaryFolder, Wire } from './harness.ts';

const HOST = 'shop.example.com';
/** The visitor's address, different from the one that nginx uses to the proxy, which alone is trusted. */
const VISITOR = '127.0.0.2';

/** @returns the port it listens on, where the page has 80 */
async function startNginx(t: TestContext, proxyPort: number): Promise<number> {
  const port = await freePort();
  const page = readFileSync(join(ROOT, 'docs/beside.md'), 'utf8');
  const server = /^```nginx\n([^]*?)^```$/m.exec(page)?.[1] ?? '';
  const folder = await temporaryFolder(t);
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
  const conf = join(folder, 'nginx.conf');
  const text = server
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('  listen [::]:80;\n', '')
    .replace('server 127.0.0.1:8080;', `server 127.0.0.1:${proxyPort};`);
  assert.notEqual(text, server);
  writeFileSync(
    conf,
    `daemon off; user root; pid ${folder}/pid; worker_processes 1; events {}
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
${text}}
`,
  );
  const nginx = spawn('nginx', ['-e', 'stderr', '-c', conf], { stdio: 'ignore' });
  t.after(async () => {
    nginx.kill('SIGTERM');
    if (nginx.exitCode === null) await once(nginx, 'exit');
  });
  await until(() => answers(port), 'nginx listens');
  return port;
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

async function visit(port: number, text: string): Promise<Wire> {
  const socket = createConnection({ port, host: '127.0.0.1', localAddress: VISITOR });
  await once(socket, 'connect');
  return new Wire(socket).send(text);
}

test("behind nginx with the documented settings the app sees its visitor's address, streams and WebSockets work", async (t) => {
  const edge = await startEdge(t, { trusted: ['127.0.0.1'] });
  const app = createServer((req, res) => {
    if (req.url === '/stream') {
      // Never ends, so what nginx buffers would never arrive.
      res.write('first');
      return;
    }
    res.end(JSON.stringify(req.headers));
  });
  const sockets = new WebSocketServer({ server: app });
  sockets.on('connection', (socket, { headers }) => socket.send(String(headers['x-forwarded-for'])));
  const appPort = await listen(app);
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    app.closeAllConnections();
    app.close();
  });
  await edge.proxy.table.flip({
    entry: entryFor(appPort, { routes: [{ host: HOST, pathPrefix: '/' }] }),
    expectedGeneration: 0,
  });
  const port = await startNginx(t, edge.port);

  const told = 'X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n';
  const plain = await visit(port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${told}Connection: close\r\n\r\n`);
  await plain.end();
  const seen = JSON.parse(/\{.*\}/.exec(plain.received)?.[0] ?? '{}') as Record<string, string>;
  assert.deepEqual(
    [seen['host'], seen['x-forwarded-for'], seen['x-forwarded-proto']],
    [HOST, VISITOR, 'http'],
    'what visitors say of themselves is not believed',
  );

  const stream = await visit(port, `GET /stream HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  await stream.sees('first');
  stream.socket.destroy();

  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: HOST }, localAddress: VISITOR });
  const [message] = (await once(client, 'message')) as [Buffer];
  assert.equal(String(message), VISITOR);
  client.terminate();
});
