import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { ORIGIN_FILE } from '../../protocol/release.ts';
import { scripted } from '../deployment/test-context.ts';
import { temporaryFolder } from '../test-bench.ts';
import type { UpgradeParts } from './health.ts';
import { layoutAt, linkTo, releaseFolder } from './layout.ts';
import { planUpgrade } from './order.ts';

test("the newest version is that of the host's channel", async (t) => {
  const server = createServer((request, response) => {
    const versions: Record<string, string> = { '/channels/stable': '1.1.0\n', '/channels/edge': '2.0.0-rc.1\n' };
    response.end(versions[request.url ?? '']);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const root = temporaryFolder(t);
  const layout = layoutAt(root);
  const folder = releaseFolder(layout, '1.0.0');
  mkdirSync(folder, { recursive: true });
  linkTo(layout.current, '1.0.0');
  const publicKey = `${'A'.repeat(59)}=`;
  writeFileSync(join(folder, ORIGIN_FILE), JSON.stringify({ version: '1.0.0', publicKey, url }));
  const planned = async (channel: string): Promise<string> => {
    const config = scripted<UpgradeParts['config']>('config', { stateFolder: join(root, 'agent'), channel });
    const parts = scripted<UpgradeParts>('parts', {
      layout,
      config,
      clock: scripted<UpgradeParts['clock']>('clock', {}),
    });
    return (await planUpgrade(parts, { version: null, folder: null, allowDowngrade: false })).version;
  };
  assert.equal(await planned('stable'), '1.1.0');
  assert.equal(await planned('edge'), '2.0.0-rc.1');
});
