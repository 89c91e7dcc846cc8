import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { HUB_UPSTREAM } from '../../../protocol/hub-upstream.ts';
import { scripted } from '../../deployment/test-ports.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { tableView, targetView, upstreamView } from '../../proxy-client/test-table.ts';
import type { UpstreamView } from '../../../protocol/proxy-admin.ts';
import { layoutAt } from '../../upgrade/layout.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject } from '../subject.ts';
import { drift } from './drift.ts';
import { hubRoute } from './hub-route.ts';
import { proxy } from './proxy.ts';

const ROUTED = upstreamView({
  id: HUB_UPSTREAM,
  routes: [{ host: 'hub.example.com', pathPrefix: '/' }],
  targets: [targetView({ id: HUB_UPSTREAM, address: '127.0.0.1', port: 7700 })],
});
const WITH_DOMAIN = 'ORKESTR_HUB_URL=https://hub.example.com\nORKESTR_APPS_URL=https://hub.example.com\n';

/** A host that runs the hub. */
function hubHost(t: TestContext, settings: string, ...upstreams: UpstreamView[]): Subject {
  const root = temporaryFolder(t);
  const layout = layoutAt(root);
  for (const folder of [layout.units, layout.settings]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(layout.units, 'orkestr-hub.service'), '');
  writeFileSync(join(layout.settings, 'hub.env'), settings);
  writeFileSync(join(layout.settings, 'proxy.env'), 'ORKESTR_PROXY_ACME_EMAIL=me@example.com\n');
  const table = async () => tableView(...upstreams);
  return scripted<Subject>('subject', {
    places: { ...HOST_PLACES, root },
    proxy: scripted<Subject['proxy']>('proxy', { table }),
  });
}

const found = async (subject: Subject): Promise<string[]> => {
  const outcome = await hubRoute.run(subject, AbortSignal.timeout(5000));
  return 'skipped' in outcome ? ['skipped'] : outcome.findings.map(({ problem }) => problem);
};

test('a hub with a domain needs its route and an active target behind it', async (t) => {
  assert.deepEqual(await found(hubHost(t, WITH_DOMAIN, ROUTED)), []);
  assert.deepEqual(await found(hubHost(t, WITH_DOMAIN)), ['missing']);
  const suspended = ROUTED.targets.map((target) => ({ ...target, suspended: true }));
  assert.deepEqual(await found(hubHost(t, WITH_DOMAIN, { ...ROUTED, targets: suspended })), ['away']);
  const elsewhere = { ...ROUTED, routes: [{ host: 'old.example.com', pathPrefix: '/' }] };
  assert.deepEqual(await found(hubHost(t, WITH_DOMAIN, elsewhere)), ['missing']);
});

test('the fix names the email address of the certificate settings', async (t) => {
  const outcome = await hubRoute.run(hubHost(t, WITH_DOMAIN), AbortSignal.timeout(5000));
  const values = 'skipped' in outcome ? null : outcome.findings[0]?.values;
  assert.deepEqual(values, { host: 'hub.example.com', email: 'me@example.com' });
});

test('a hub that is not reached through this proxy needs no route in it', async (t) => {
  for (const settings of [
    'ORKESTR_APPS_URL=http://localhost\n',
    'ORKESTR_HUB_URL=https://hub.example.com\nORKESTR_APPS_URL=http://localhost\n',
  ]) {
    assert.deepEqual(await found(hubHost(t, settings)), ['skipped']);
  }
  const root = temporaryFolder(t);
  assert.deepEqual(
    await found(
      scripted<Subject>('subject', {
        places: { ...HOST_PLACES, root },
        proxy: scripted<Subject['proxy']>('proxy', {}),
      }),
    ),
    ['skipped'],
  );
});

test("no other check takes the hub's own route for that of an app", () => {
  const observed = { containers: [], table: tableView(ROUTED), workspaces: [] };
  const judged = [
    drift.judge({ observed, remembered: { live: [], unfinished: [] } }),
    proxy.judge({ table: tableView({ ...ROUTED, targets: [] }), unreadable: [] }),
  ];
  assert.deepEqual(
    judged.map((outcome) => ('skipped' in outcome ? null : outcome.findings)),
    [[], []],
  );
});
