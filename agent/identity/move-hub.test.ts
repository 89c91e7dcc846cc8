import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { moveHub } from './move-hub.ts';
import { localIdentity, readIdentity, storeIdentity } from './identity.ts';
import { systemClock } from '../lib/clock.ts';
import { temporaryFolder } from '../lib/test-folder.ts';

async function serverThat(t: TestContext, status: number): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end('{"status":"ok"}'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const OLD = { url: 'https://old.example.com', publicKey: 'pinned' };

function joinedHost(t: TestContext): string {
  const folder = temporaryFolder(t);
  storeIdentity(folder, { ...localIdentity(folder, 0), hub: OLD });
  return folder;
}

test('a moved hub is dialled at its new address and must still hold its pinned key', async (t) => {
  const folder = joinedHost(t);
  const before = readIdentity(folder);
  const url = await serverThat(t, 200);
  assert.deepEqual(await moveHub(folder, `${url}/`, systemClock), { from: OLD.url, to: url });
  assert.deepEqual(readIdentity(folder), { ...before, hub: { ...OLD, url } });
  assert.equal(statSync(join(folder, 'identity.json')).mode & 0o777, 0o600);
});

test('an invalid address, or one where no hub answers, changes nothing', async (t) => {
  const folder = joinedHost(t);
  const cases = [
    [await serverThat(t, 404), 'ORK_HUB_UNREACHABLE'],
    ['http://127.0.0.1:1', 'ORK_HUB_UNREACHABLE'],
    ['hub.example.com', 'ORK_INVALID'],
    ['https://hub.example.com/console', 'ORK_INVALID'],
    ['ftp://hub.example.com', 'ORK_INVALID'],
  ] as const;
  for (const [url, code] of cases) await assert.rejects(moveHub(folder, url, systemClock), { code }, url);
  assert.deepEqual(readIdentity(folder)?.hub, OLD);
});

test('moving the hub fails on a host without a hub', async (t) => {
  const folder = temporaryFolder(t);
  await assert.rejects(moveHub(folder, 'https://hub.example.com', systemClock), { code: 'ORK_CONFIG' });
});
