import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { fetchFile } from './fetch.ts';

const atOnce = { sleep: () => Promise.resolve() };

async function placeThat(t: TestContext, answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const path = join(temporaryFolder(t), 'file');
  const get = (maxBytes: number) =>
    fetchFile({ kind: 'url', url: `http://127.0.0.1:${port}/releases` }, { name: 'a.tar.xz', path, maxBytes }, atOnce);
  return { path, get };
}

test('a truncated file is fetched again', async (t) => {
  let asked = 0;
  const { path, get } = await placeThat(t, (request, response) => {
    asked += 1;
    assert.equal(request.url, '/releases/a.tar.xz');
    response.setHeader('content-length', 6);
    response.write('who');
    if (asked === 1) setTimeout(() => request.socket.destroy(), 20);
    else response.end('le!');
  });
  await get(10);
  assert.equal(readFileSync(path, 'utf8'), 'whole!');
  assert.equal(asked, 2);
});

test('a file larger than any file of a release is refused and not fetched again', async (t) => {
  let asked = 0;
  const { path, get } = await placeThat(t, (_request, response) => {
    asked += 1;
    // Without a Content-Length: the actual bytes count.
    response.write('x'.repeat(600));
    response.end('x'.repeat(600));
  });
  await assert.rejects(get(1000), { code: 'ORK_UPGRADE_SIGNATURE', message: /more than 1000 bytes/ });
  assert.equal(existsSync(path), false);
  assert.equal(asked, 1);
});

test('a missing file fails at once; a server error fails after three tries', async (t) => {
  let asked = 0;
  let status = 404;
  const { get } = await placeThat(t, (_request, response) => {
    asked += 1;
    response.writeHead(status).end('no');
  });
  await assert.rejects(get(10), { code: 'ORK_UPGRADE_SOURCE' });
  assert.equal(asked, 1);
  status = 502;
  await assert.rejects(get(10), { code: 'ORK_UPGRADE_FETCH', message: /status 502/ });
  assert.equal(asked, 4);
});

test('a file that is missing in a folder is reported', async (t) => {
  const folder = temporaryFolder(t);
  const wish = { name: 'SHA256SUMS', path: join(folder, 'to'), maxBytes: 10 };
  await assert.rejects(fetchFile({ kind: 'folder', path: folder }, wish, atOnce), {
    code: 'ORK_UPGRADE_SOURCE',
    message: /SHA256SUMS cannot be read/,
  });
});
