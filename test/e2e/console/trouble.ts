/** The console when something is wrong: a failing certificate, an app that is down, somebody to be notified, an offline host. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Environment } from '../../../hub/api/schemas.ts';
import { startReceiver } from '../../../hub/notify/test-receiver.ts';
import type { ErrorReport } from '../../../protocol/errors.ts';
import { overflow, PHONE, startConsole } from './browser.ts';
import type { ConsoleBrowser } from './browser.ts';
import { HOST_STATUS } from './seed.ts';
import type { SeededHub } from './seed.ts';

let started: ConsoleBrowser;
let hub: SeededHub;
before(async () => {
  started = await startConsole();
  ({ hub } = started);
});
after(() => started?.stop());

test('a webhook is added by its form, and its secret is shown once', async (t) => {
  const receiver = await startReceiver(t);
  await hub.createProject('signed');
  const { page, complaints, close } = await started.open('/projects/signed');
  const part = page.getByRole('region', { name: 'Notifications' });
  await part.getByLabel('Kind').selectOption('webhook');
  await part.getByLabel('URL or e-mail address').fill(receiver.url);
  await part.getByLabel('Name').fill('pager');
  await part.getByLabel('Notify about').selectOption('all projects and hosts of the team');
  await part.getByRole('button', { name: 'Add' }).click();
  const secret = part.getByRole('status').filter({ hasText: 'whsec_' });
  await secret.waitFor();
  await part.getByRole('row', { name: /pager webhook to .*of the team/ }).waitFor();
  await part.getByRole('button', { name: 'Send a test to pager' }).click();
  await part.getByText('Test sent.').waitFor();
  assert.equal(receiver.got.length, 1);
  await part.getByRole('button', { name: 'I have saved it' }).click();
  await secret.waitFor({ state: 'detached' });
  await page.reload();
  await part.getByRole('row', { name: /pager/ }).waitFor();
  assert.ok(!(await page.content()).includes('whsec_'));
  assert.deepEqual(complaints, []);
  await close();
});

test('an environment shows its domain without a valid certificate, and what to do', async () => {
  await hub.createProject('unproved');
  const host = `${'long-'.repeat(11)}name.${'below-'.repeat(9)}it.example.com`;
  const settings = { domains: [{ host }] };
  await hub.client.patch('/projects/unproved/environments/production', { settings }, Environment);
  const error: ErrorReport = { code: 'ORK_ACME_DNS', message: 'It leads elsewhere.', evidence: [] };
  hub.agent.say({ type: 'status', status: { ...HOST_STATUS, certificates: [{ host, error, notAfter: null }] } });
  const { page, close } = await started.open('/projects/unproved', { viewport: PHONE });
  const alert = page.getByRole('alert').filter({ hasText: host });
  await alert.getByText('has no valid certificate: It leads elsewhere.').waitFor();
  await alert.getByText('Point the A and AAAA records').waitFor();
  assert.equal(await overflow(page), 0);
  await close();
});

test('a live app that is down is shown wherever it is shown as live, with the reason and its log', async () => {
  const project = await hub.createProject('sinking');
  const job = await hub.push(project, 'First');
  await job.goLive();
  const error: ErrorReport = { code: 'ORK_APP_EXITED', message: 'The app exited with code 1.', evidence: [] };
  const app = { deploymentId: job.id, environmentId: job.job.environment.id };
  const downApps = [{ ...app, since: '2025-01-01T12:04:00.000Z', exitCode: 1, restarts: 14, error }];
  hub.agent.say({ type: 'status', status: { ...HOST_STATUS, downApps } });
  const { page, close } = await started.open('/projects/sinking', { viewport: PHONE });
  const alert = page.getByRole('alert').filter({ hasText: 'down since 2025-01-01 12:04 UTC' });
  await alert.getByText('The app exited with code 1. Docker has restarted it 14 times.').waitFor();
  assert.equal(await overflow(page), 0);
  await page.goto(`${hub.url}/`);
  await page.getByRole('link', { name: 'live, but down' }).waitFor();
  await page.goto(`${hub.url}/hosts`);
  await page.getByText('sinking/production is live, but down since').waitFor();
  assert.equal(await overflow(page), 0);
  await page.goto(`${hub.url}/projects/sinking`);
  await alert.getByRole('link', { name: 'See its log' }).click();
  await page.getByRole('heading', { name: 'Logs of production' }).waitFor();
  hub.agent.say({ type: 'status', status: { ...HOST_STATUS, downApps: [] } });
  await page.goto(`${hub.url}/projects/sinking`);
  await page.getByRole('heading', { name: 'production' }).waitFor();
  await alert.waitFor({ state: 'detached' });
  await close();
});

test('a cancel whose host is offline shows what happens meanwhile, and the user can give the deployment up', async () => {
  const project = await hub.createProject('stuck');
  const job = await hub.push(project, 'First');
  await job.run();
  await job.begin('build');
  const { page, close } = await started.open(`/deployments/${job.id}`);
  await page.getByRole('status').getByText('running').waitFor();
  await hub.agent.leave();
  await page.getByRole('button', { name: 'Cancel this deployment' }).click();
  await page.getByRole('button', { name: 'Cancel it' }).click();
  await page.getByText('It waits for the host vps-1, which is offline: it keeps running there').waitFor();
  await page.getByRole('button', { name: 'Cancel this deployment' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Give it up' }).first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Give it up' }).click();
  await page.getByText('ORK_HOST_LOST').waitFor();
  await page.getByText('unless it has gone live by then; in that case').first().waitFor();
  await close();
});
