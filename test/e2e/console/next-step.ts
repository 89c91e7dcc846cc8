/** The console when something is wrong, or nothing exists yet: what it tells the user to do, and which user. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Deployment, Environment, MadeHost, MadeToken } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import { DESKTOP, overflow, startConsole } from './browser.ts';
import type { ConsoleBrowser } from './browser.ts';
import { HOST_STATUS, read } from './seed.ts';
import type { SeededHub } from './seed.ts';

const SMALL = { width: 320, height: 640 };

let started: ConsoleBrowser;
let hub: SeededHub;
before(async () => {
  started = await startConsole();
  ({ hub } = started);
});
after(() => started?.stop());

test('a user without any project sees which command to type next', async () => {
  const { page, close } = await started.open('/');
  await page.getByText(`git remote add orkestr ${hub.url}/git/shop.git`).waitFor();
  const project = await hub.createProject('first');
  await page.getByRole('link', { name: 'first', exact: true }).click();
  const steps = page.getByText(`git remote add orkestr ${project.gitRemote}`);
  await steps.waitFor();
  assert.match(await steps.innerText(), /git push orkestr HEAD:main/);
  await close();
});

test('the page of a failed deployment says that visitors are served, and starts it again', async () => {
  const project = await hub.createProject('again');
  const job = await hub.push(project, 'Leaks');
  await job.build('Leaks', []);
  await job.begin('health');
  await job.fail('health', 900, {
    code: 'ORK_APP_MEMORY',
    message: 'The app was killed. Its last line: \u001b[31mheap out\u001b[0m of `memory`',
    evidence: ['exit code: 137', '\u001b[31mheap out\u001b[0m of memory'],
  });
  const { page, close } = await started.open(`/deployments/${job.id}`);
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.match(await alert.innerText(), /Its last line: heap out of memory[\s\S]*^heap out of memory$/m);
  await page.getByText('the previous version keeps serving').waitFor();
  assert.match(await page.title(), /^failed · again production/);
  await page.getByRole('button', { name: `Try ${job.job.commit.slice(0, 7)} again` }).click();
  const second = await hub.nextJob();
  await page.waitForURL(`${hub.url}/deployments/${second.id}`);
  assert.equal((await read(hub, Deployment, 'deployments', second.id)).commit, job.job.commit);
  await close();
});

test('a read-only user sees no button that the hub would refuse', async () => {
  const project = await hub.createProject('reader');
  const old = await hub.push(project, 'Old');
  await old.build('Old', []);
  await old.goLive();
  const { token } = await hub.client.post('/tokens', { name: 'reader', scopes: ['read'] }, MadeToken);
  const { page, close } = await started.open('/projects/reader', { token });
  await page.getByRole('row', { name: /live/ }).waitFor();
  assert.deepEqual(await page.getByRole('main').getByRole('button').allInnerTexts(), []);
  await page.getByRole('link', { name: old.job.commit.slice(0, 7) }).click();
  await page.getByRole('status').getByText('live').waitFor();
  assert.equal(await page.getByRole('button', { name: /again/ }).count(), 0);
  await close();
});

test('a link to an environment scrolls to it, past the environments above', async () => {
  const project = await hub.createProject('many');
  const path = apiPath('projects', 'many', 'environments');
  await hub.client.post(path, { slug: 'staging', branch: 'develop' }, Environment);
  await (await hub.push(project, 'First')).cancelled();
  for (let n = 1; n < 32; n += 1) {
    await hub.client.post(`${path}/production/deployments`, {}, Deployment);
    await (await hub.nextJob()).cancelled();
  }
  const { page, close } = await started.open('/');
  await page.getByRole('link', { name: 'staging' }).click();
  const staging = page.getByRole('heading', { name: 'staging' });
  await page
    .getByRole('row', { name: /cancelled/ })
    .first()
    .waitFor();
  await page.waitForTimeout(500);
  const box = await staging.boundingBox();
  assert.ok(box !== null && box.y >= 0 && box.y < DESKTOP.height, `at ${box?.y}`);

  const production = page.getByRole('region', { name: 'production' });
  assert.equal(await production.locator('tbody tr').count(), 30);
  await production.getByRole('button', { name: 'Show older ones' }).click();
  await production.locator('tbody tr').nth(31).waitFor();
  assert.equal(await production.locator('tbody tr').count(), 32);
  assert.equal(await production.getByRole('button', { name: 'Show older ones' }).count(), 0);
  await close();
});

test('a small phone shows questions in full, even if their button is in a table', async () => {
  const project = await hub.createProject('small');
  const job = await hub.push(project, 'First');
  await job.build('First', []);
  await job.goLive();
  const { page, close } = await started.open('/projects/small', { viewport: SMALL });
  await page.getByRole('button', { name: /^Deploy [0-9a-f]{7} again/ }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  const hidden = await page.evaluate(
    "[...document.querySelectorAll('dialog[open]')].map((node) => node.scrollWidth - node.clientWidth)",
  );
  assert.deepEqual(hidden, [0]);
  await page.keyboard.press('Escape');
  assert.equal(await overflow(page), 0);
  await close();
});

test('the keyboard focus follows a link to the new page', async () => {
  await hub.createProject('keys');
  const { page, close } = await started.open('/');
  await page.getByRole('link', { name: 'keys', exact: true }).press('Enter');
  await page.getByRole('heading', { level: 1, name: 'keys' }).waitFor();
  assert.equal(await page.evaluate('document.activeElement.id'), 'main');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate("document.activeElement.closest('main') !== null"), true);
  await close();
});

test('the page of hosts shows what has to be done there', async () => {
  await hub.client.post('/hosts', { name: 'vps-2' }, MadeHost);
  hub.agent.say({
    type: 'status',
    status: {
      ...HOST_STATUS,
      engine: { ...HOST_STATUS.engine, reachable: false, version: null },
      proxy: { reachable: false },
    },
  });
  const { page, close } = await started.open('/hosts');
  const first = page.getByRole('listitem').filter({ hasText: 'vps-1' });
  await first.getByText('Start it, then check').waitFor();
  await first.getByText('Start orkestr-proxy on the host.').waitFor();
  const second = page.getByRole('listitem').filter({ hasText: 'vps-2' });
  await second.getByText('orkestr hosts join-token vps-2').waitFor();
  hub.agent.socket.terminate();
  await first.getByText('Its apps keep running; deployments wait for it.').waitFor();
  await close();
});
