/** The whole proxy process and a CA, in their own network: what an owner has after pointing a name at a new host. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mustRun } from '../../../../installer/stack/run-program.ts';
import { temporaryFolder } from '../harness.ts';
import type { Found } from './world.ts';

const ADDRESS = '198.18.7.1';

/** A network namespace with one address and a name server at 127.0.0.1; both are removed with the test. */
async function makeNetwork(t: TestContext): Promise<string> {
  const name = `ork-acme-${randomBytes(3).toString('hex')}`;
  // `ip netns exec` mounts the files of this folder over those in /etc.
  const files = join('/etc/netns', name);
  await mkdir(files, { recursive: true });
  t.after(async () => {
    await mustRun('ip', ['ip', 'netns', 'del', name]);
    await rm(files, { recursive: true });
  });
  await writeFile(join(files, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  const ip = (...words: string[]): Promise<string> => mustRun('ip', ['ip', '-n', name, ...words]);
  await mustRun('ip', ['ip', 'netns', 'add', name]);
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', 'ork0', 'type', 'veth', 'peer', 'name', 'ork1');
  await ip('address', 'add', `${ADDRESS}/32`, 'dev', 'ork0');
  for (const end of ['ork0', 'ork1']) await ip('link', 'set', end, 'up');
  return name;
}

test('a proxy process gets a certificate for a host in its table, serves with it, and keeps it over a restart', async (t) => {
  const network = await makeNetwork(t);
  const world = fileURLToPath(new URL('world.ts', import.meta.url));
  const argv = ['ip', 'netns', 'exec', network, process.execPath, world, await temporaryFolder(t), ADDRESS] as const;
  const found = JSON.parse(await mustRun('the world', argv, { timeoutMs: 120_000 })) as Found;
  assert.equal(found.body, 'from the app');
  assert.match(found.issuer, /^Pebble Intermediate/);
  assert.equal(found.orders, 1);
  assert.deepEqual(found.again, { body: 'from the app', serial: found.serial, orders: 1 });
});
