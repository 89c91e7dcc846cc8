/** The console while things change under an open page: expired sessions, unreachable hubs, replaced deployments. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MadeToken } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import { logIn, logLines, startConsole, startWire } from './browser.ts';
import type { ConsoleBrowser } from './browser.ts';
import type { SeededHub } from './seed.ts';

let started: ConsoleBrowser;
let hub: SeededHub;
before(async () => {
  started = await startConsole();
  ({ hub } = started);
});
after(() => started?.stop());

const makeToken = (name: string, scopes: string[]) => hub.client.post('/tokens', { name, scopes }, MadeToken);

test('a page whose session has ended asks for a login, and keeps what was typed', async () => {
  await hub.createProject('typing');
  const { id, token } = await makeToken('short', ['read', 'write']);
  const { page, close } = await started.open('/projects/typing', { token });
  await page.getByText('Variables and build secrets').click();
  const variables = page.getByRole('region', { name: 'Variables of production' });
  await variables.getByLabel('Name').fill('LONG');
  await variables.getByLabel('Value').fill('three\nlong\nlines');
  await hub.client.delete(apiPath('tokens', id));
  const login = page.getByRole('dialog', { name: 'Your session has ended' });
  await login.waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await login.waitFor();
  await logIn(page, (await makeToken('second', ['read', 'write'])).token);
  await login.waitFor({ state: 'detached' });
  assert.equal(await variables.getByLabel('Value').inputValue(), 'three\nlong\nlines');
  await variables.getByRole('button', { name: 'Set' }).click();
  await variables.getByRole('row', { name: /LONG/ }).waitFor();
  await close();
});

test('a running log whose session ends says so, and continues after the login', async () => {
  const project = await hub.createProject('log-session');
  const job = await hub.push(project, 'First');
  await job.run();
  await job.begin('build');
  await job.log('build', 'before\n');
  const { id, token } = await makeToken('reader', ['read']);
  const { page, close } = await started.open(`/deployments/${job.id}`, { token });
  await page.getByText('before').waitFor();
  await hub.client.delete(apiPath('tokens', id));
  await job.log('build', 'meanwhile\n');
  await page.getByRole('dialog', { name: 'Your session has ended' }).waitFor();
  await logIn(page, hub.token);
  await page.getByText('meanwhile').waitFor();
  assert.deepEqual(await logLines(page), ['before', 'meanwhile']);
  await close();
});

test('a page that was opened while the hub was down appears as soon as the hub is back', async () => {
  const project = await hub.createProject('away');
  const job = await hub.push(project, 'First');
  const wire = await startWire(hub.url);
  const { page, close } = await started.open('/', { url: wire.url });
  await page.getByRole('link', { name: 'away', exact: true }).click();
  await page.getByRole('row', { name: /queued/ }).waitFor();
  await wire.cut();
  await page.getByRole('link', { name: job.job.commit.slice(0, 7) }).click();
  await page.getByRole('alert').getByText('The hub does not answer').waitFor();
  await wire.mend();
  await page.getByRole('status').getByText('queued').waitFor();
  await close();
  await wire.close();
});

test('the page of a live deployment shows when a newer one replaces it, and when its project is deleted', async () => {
  const project = await hub.createProject('replaced');
  const first = await hub.push(project, 'First');
  await first.build('First', []);
  await first.goLive();
  const { page, close } = await started.open(`/deployments/${first.id}`);
  await page.getByRole('status').getByText('live').waitFor();
  const second = await hub.push(project, 'Second');
  await second.build('Second', []);
  await second.goLive();
  await page.getByRole('status').getByText('superseded').waitFor();
  await page.getByRole('button', { name: /^Roll back to/ }).waitFor();
  await hub.client.delete('/projects/replaced');
  await page.getByRole('alert').getByText('ORK_NOT_FOUND').waitFor();
  await hub.agent.job();
  await close();
});

test('a hidden page gives up its connection, and continues where it was once it is visible again', async () => {
  const project = await hub.createProject('tabs');
  const job = await hub.push(project, 'First');
  await job.run();
  await job.begin('build');
  await job.log('build', 'line 1\n');
  const { page, context, close } = await started.open(`/deployments/${job.id}`);
  await page.getByText('line 1').waitFor();
  const see = (state: 'hidden' | 'visible'): Promise<void> =>
    page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));`);
  const asked: string[] = [];
  context.on('request', (request) => asked.push(request.url()));
  await see('hidden');
  await job.log('build', 'line 2\n');
  await page.waitForTimeout(500);
  assert.deepEqual(await logLines(page), ['line 1']);
  await see('visible');
  await page.getByText('line 2').waitFor();
  assert.deepEqual(await logLines(page), ['line 1', 'line 2']);
  assert.match(asked.find((url) => url.includes('/events')) ?? '', /\?after=\d+$/);
  await close();
});

test('an answer from another version of the hub does not leave an empty page', async () => {
  await hub.createProject('newer');
  const { page, context, close } = await started.open('/hosts');
  await page.getByRole('heading', { level: 1, name: 'Hosts' }).waitFor();
  await context.route('**/api/v1/overview', (route) => route.fulfill({ json: [{ id: '1', slug: 'newer' }] }));
  await page.getByRole('link', { name: 'Projects' }).click();
  await page.getByRole('alert').getByText('This page cannot be shown').waitFor();
  await context.unroute('**/api/v1/overview');
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.getByRole('link', { name: 'newer', exact: true }).waitFor();
  await close();
});

test('a login in a browser that keeps no session shows the reason', async () => {
  const context = await started.browser.newContext();
  const page = await context.newPage();
  await context.route('**/api/v1/session', async (route) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(route.request().url(), { method: 'POST', headers, body: route.request().postData() });
    await route.fulfill({ status: answer.status, json: await answer.json() });
  });
  await page.goto(hub.url);
  await logIn(page, hub.token);
  await page.getByRole('alert').getByText('did not keep the session').waitFor();
  await context.close();
});
