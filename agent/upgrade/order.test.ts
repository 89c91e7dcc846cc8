import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ORIGIN_FILE } from '../../protocol/release.ts';
import { scripted } from '../deployment/test-ports.ts';
import { storeIdentity } from '../identity/identity.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';
import type { UpgradeParts } from './health.ts';
import { layoutAt, linkTo, releaseFolder } from './layout.ts';
import { planUpgrade } from './order.ts';
import type { UpgradePlan } from './order.ts';

/** A web server that serves only these texts. @returns its address */
async function serve(t: TestContext, texts: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer((request, response) => {
    const text = texts[request.url ?? ''];
    response.writeHead(text === undefined ? 404 : 200).end(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A host that runs 1.0.0. @param url where releases are published @returns the parts to plan its upgrades with */
function hostWith(t: TestContext, { url, hub }: { readonly url: string; readonly hub: string | null }) {
  const root = temporaryFolder(t);
  const layout = layoutAt(root);
  const folder = releaseFolder(layout, '1.0.0');
  mkdirSync(folder, { recursive: true });
  linkTo(layout.current, '1.0.0');
  const publicKey = `${'A'.repeat(59)}=`;
  writeFileSync(join(folder, ORIGIN_FILE), JSON.stringify({ version: '1.0.0', publicKey, url }));
  const stateFolder = join(root, 'agent');
  mkdirSync(stateFolder);
  if (hub !== null) {
    const since = new Date(0).toISOString();
    storeIdentity(stateFolder, { hostId: IDS.host, name: 'vps-1', hub: { url: hub, publicKey: 'k' }, since });
  }
  return (version: string | null, channel = 'stable'): Promise<UpgradePlan> => {
    const config = scripted<UpgradeParts['config']>('config', { stateFolder, channel });
    const clock = scripted<UpgradeParts['clock']>('clock', {});
    const parts = scripted<UpgradeParts>('parts', { layout, config, clock });
    return planUpgrade(parts, { version, folder: null, allowDowngrade: false });
  };
}

test("the newest version is that of the host's channel", async (t) => {
  const url = await serve(t, { '/channels/stable': '1.1.0\n', '/channels/edge': '2.0.0-rc.1\n' });
  const plan = hostWith(t, { url, hub: null });
  assert.equal((await plan(null)).version, '1.1.0');
  assert.equal((await plan(null, 'edge')).version, '2.0.0-rc.1');
});

test('a named version comes from where releases are published, even if the hub offers nothing', async (t) => {
  const hub = await serve(t, {});
  const url = 'https://releases.example.com';
  const published = await hostWith(t, { url, hub })('1.1.0');
  assert.deepEqual(published, { from: '1.0.0', version: '1.1.0', source: { kind: 'url', url: `${url}/1.1.0` } });
  await assert.rejects(hostWith(t, { url, hub })(null), { code: 'ORK_UPGRADE_SOURCE', message: /status 404/ });
  await assert.rejects(hostWith(t, { url: '', hub })('1.1.0'), {
    code: 'ORK_UPGRADE_SOURCE',
    message: /no known source for orkestr 1\.1\.0\. The hub \S+ offers nothing\./,
  });
});
