/** The console in a real browser, served by a real hub; the test acts as the agent. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { exampleRelease } from '../../../hub/test-release.ts';
import { Deployment, MadeToken, Project } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import { startReceiver } from '../../../hub/notify/test-receiver.ts';
import { ROOT } from '../../../installer/stack/stack.ts';
import type { ErrorReport } from '../../../protocol/errors.ts';
import { logLines, overflow, PHONE, startConsole, startWire, step } from './browser.ts';
import type { ConsoleBrowser, OpenOptions } from './browser.ts';
import { HOST_STATUS, NEXT_VERSION, read, side } from './seed.ts';
import type { SeededHub } from './seed.ts';

const MAX_SCRIPT_BYTES = 60_000;

let started: ConsoleBrowser;
let hub: SeededHub;
before(async () => {
  started = await startConsole();
  ({ hub } = started);
});
after(() => started?.stop());

const openConsole = (path: string, options?: OpenOptions) => started.open(path, options);

test('a user logs in, deploys, sees steps and log lines arrive live, and gets a receipt', async () => {
  const project = await hub.createProject('shop');
  const first = await hub.push(project, 'First version');
  await first.build('First version', ['one\n']);
  await first.goLive();

  const { page, complaints, close } = await openConsole('/');
  await page.getByRole('link', { name: 'shop', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'shop' }).waitFor();
  await page.getByRole('row', { name: /live/ }).waitFor();

  // A click deploys; the agent receives the job, and everything it reports appears without a reload.
  await page.getByRole('button', { name: 'Deploy production' }).click();
  const second = await hub.nextJob();
  await page.waitForURL(`${hub.url}/deployments/${second.id}`);
  await second.run();
  await second.begin('clone');
  await page.getByRole('status').getByText('running').waitFor();
  await second.prepare('Second');
  await second.begin('build');
  await second.log('build', '\u001b[32m#1 load\u001b[0m \u001b[1m<b>\u001b[0m&\n10%\r');
  await page.getByText('#1 load').waitFor();
  await step(page, 'build').and(page.locator('[aria-pressed=true]')).waitFor();
  await second.log('build', '60%\r99%');
  await page.getByText('99%').waitFor();
  assert.deepEqual(await logLines(page), ['#1 load <b>&', '99%']);
  assert.equal(await page.locator('.log .ansi-green-fg').innerText(), '#1 load');
  // As a string: the tests do not have a browser's types.
  const weight = await page.evaluate("getComputedStyle(document.querySelector('.log [data-style]')).fontWeight");
  assert.equal(weight, '700', 'the policy lets weights through');

  await second.log('build', '\rdone\nlast line\n');
  await page.getByText('last line').waitFor();
  assert.deepEqual(await logLines(page), ['#1 load <b>&', 'done', 'last line']);

  await second.built(4321);
  await second.goLive({
    previous: { ...side(first.id, 5123), inFlightAtFlip: 2 },
    drain: { ms: 840, forced: 0, streams: { carried: 3, ended: 1, closed: 2 } },
  });
  await page.getByRole('status').getByText('live').waitFor();
  await step(page, 'build').getByText('4.3 s').waitFor();
  await step(page, 'cutover').click();
  assert.match(await page.locator('.receipt').innerText(), /5,123[\s\S]*42[\s\S]*Failed\s+0/);
  await page.getByRole('row', { name: /^Last request \d\d:\d\d:\d\d\.\d{3}/ }).waitFor();
  await page.getByText('3 carried on: 1 ended, 2 closed politely', { exact: true }).waitFor();
  await step(page, 'analyze').click();
  await page.getByRole('row', { name: 'start npm start package.json scripts.start' }).waitFor();
  await step(page, 'health').click();
  await page.getByText('HTTP 200 in 4 ms', { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('a failed deployment shows its reason with evidence, what to do, and the step that failed', async () => {
  const project = await hub.createProject('failing');
  const job = await hub.push(project, 'Bind to loopback');
  await job.build('Bind to loopback', ['ok\n']);
  await job.begin('health');
  await job.log('health', 'probe refused\n');
  await job.fail('health', 60_000, {
    code: 'ORK_PORT_LOOPBACK',
    message: 'The app listens on 127.0.0.1:3000 only.',
    evidence: ['listens on 127.0.0.1:3000', 'connection refused'],
  });
  const { page, complaints, close } = await openConsole(`/deployments/${job.id}`, { viewport: PHONE });
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.match(await alert.innerText(), /The app listens on 127\.0\.0\.1:3000 only\./);
  assert.match(await alert.innerText(), /ORK_PORT_LOOPBACK[\s\S]*connection refused[\s\S]*Make it bind to 0\.0\.0\.0/);
  await page.getByRole('heading', { level: 2, name: 'health' }).waitFor();
  await page.getByText('probe refused').waitFor();
  assert.equal(await overflow(page), 0, 'nothing sticks out on a phone');
  assert.deepEqual(complaints, []);
  await close();
});

test('a user cancels a running deployment and rolls back to an earlier release', async () => {
  const project = await hub.createProject('actions');
  const old = await hub.push(project, 'Old');
  await old.build('Old', []);
  await old.goLive();
  const live = await hub.push(project, 'New');
  await live.build('New', []);
  await live.goLive();
  const running = await hub.push(project, 'Newest');
  await running.run();

  const { page, complaints, close } = await openConsole('/projects/actions');
  await page.getByRole('button', { name: 'Cancel this deployment' }).click();
  await page.getByRole('button', { name: 'Cancel it' }).click();
  assert.equal((await hub.agent.next('cancel')).deploymentId, running.id);
  await running.cancelled();
  await page.getByRole('row', { name: /cancelled/ }).waitFor();

  await page.getByRole('button', { name: `Roll back to ${old.job.commit.slice(0, 7)}` }).click();
  await page.getByRole('button', { name: 'Roll back', exact: true }).last().click();
  const back = await hub.nextJob();
  await page.waitForURL(`${hub.url}/deployments/${back.id}`);
  assert.equal(back.job.kind, 'rollback');
  assert.equal((await read(hub, Deployment, 'deployments', back.id)).releaseOf, old.id);

  await page.goto(`${hub.url}/projects/actions`);
  await page.getByText('Settings', { exact: true }).click();
  await page.getByText('edge.compression', { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('build secrets and registry logins are set and removed; only their names are ever shown', async () => {
  await hub.createProject('secretive');
  const { page, complaints, close } = await openConsole('/projects/secretive');
  await page.getByText('Variables and build secrets').click();
  const secrets = page.getByRole('region', { name: 'Build secrets of production' });
  await secrets.getByText('None yet.').waitFor();
  await secrets.getByLabel('Name').fill('NPM_TOKEN');
  await secrets.getByLabel('Value').fill('the value of it\nand a second line');
  await secrets.getByRole('button', { name: 'Set' }).click();
  await secrets.getByRole('row', { name: /NPM_TOKEN/ }).waitFor();
  assert.equal(await secrets.getByLabel('Value').inputValue(), '');
  const variables = page.getByRole('region', { name: 'Variables of production' });
  await variables.getByText('None yet.').waitFor();
  await variables.getByLabel('Name').fill('not a name');
  await variables.getByRole('button', { name: 'Set' }).click();
  const refusal = variables.getByRole('alert');
  await refusal.getByText('ORK_INVALID').waitFor();
  assert.match(await refusal.innerText(), /not a name: letters, digits and _, not starting with a digit/);

  const logins = page.getByRole('region', { name: 'Registry logins' });
  await logins.getByLabel('Registry', { exact: true }).fill('registry.example.com:5000');
  await logins.getByLabel('User name').fill('ada');
  await logins.getByLabel('Password').fill('a password of hers');
  await logins.getByRole('button', { name: 'Set' }).click();
  await logins.getByRole('row', { name: /registry\.example\.com:5000 ada/ }).waitFor();
  const shown = await page.content();
  for (const secret of ['the value of it', 'a password of hers']) assert.ok(!shown.includes(secret));
  const job = await hub.push(await read(hub, Project, 'projects', 'secretive'), 'First');
  assert.deepEqual(job.job.buildSecrets, { NPM_TOKEN: 'the value of it\nand a second line' });
  assert.deepEqual(job.job.registries, [
    { host: 'registry.example.com:5000', username: 'ada', password: 'a password of hers' },
  ]);

  for (const name of ['NPM_TOKEN', 'registry.example.com:5000']) {
    await page.getByRole('button', { name: `Remove ${name}` }).click();
    await page.getByRole('button', { name: 'Remove it' }).first().click();
    await page.getByRole('row', { name: new RegExp(name) }).waitFor({ state: 'detached' });
  }
  // The one refusal is expected.
  assert.equal(complaints.filter((text) => !text.includes('400')).length, 0, complaints.join('\n'));
  await close();
});

test('a receiver of notifications is added, tried and removed, and its URL is never shown', async (t) => {
  const [receiver, failing] = [await startReceiver(t), await startReceiver(t)];
  failing.answer = 404;
  await hub.createProject('told');
  const { page, complaints, close } = await openConsole('/projects/told');
  const part = page.getByRole('region', { name: 'Notifications' });
  await part.getByText('No receivers yet.').waitFor();
  for (const [kind, { url }] of Object.entries({ slack: receiver, discord: failing })) {
    await part.getByLabel('Kind').selectOption(kind);
    await part.getByLabel('URL or e-mail address').fill(url);
    await part.getByRole('button', { name: 'Add' }).click();
    await part.getByRole('row', { name: new RegExp(`${kind}.*nothing yet`) }).waitFor();
  }
  await part.getByRole('button', { name: 'Send a test to slack' }).click();
  await part.getByText('Test sent.').waitFor();
  assert.equal(receiver.got.length, 1);
  await part.getByRole('button', { name: 'Send a test to discord' }).click();
  await page.getByRole('dialog').getByText('ORK_NOTIFY_ANSWER').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  assert.ok(!(await page.content()).includes('secret-path'));
  for (const kind of ['slack', 'discord']) {
    await part.getByRole('button', { name: `Remove ${kind}` }).click();
    await page.getByRole('button', { name: 'Remove it' }).first().click();
    await part.getByRole('row', { name: new RegExp(kind) }).waitFor({ state: 'detached' });
  }
  await part.getByText('No receivers yet.').waitFor();
  // The one failure is expected.
  assert.equal(complaints.filter((text) => !text.includes('502')).length, 0, complaints.join('\n'));
  await close();
});

test('a read-only user sees the names of secrets and no way to change them', async () => {
  const project = await hub.createProject('read-only');
  const path = `${apiPath('projects', project.slug)}/environments/production/variables`;
  await hub.client.patch(path, { kind: 'build', variables: { NPM_TOKEN: 'x' } }, z.unknown());
  const { token } = await hub.client.post('/tokens', { name: 'reader', scopes: ['read'] }, MadeToken);
  const { page, close } = await openConsole('/projects/read-only', { token });
  await page.getByText('Variables and build secrets').click();
  await page.getByRole('row', { name: /NPM_TOKEN/ }).waitFor();
  await page.getByText('None: images are pulled without a login.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Set' }).count(), 0);
  assert.equal(await page.getByRole('button', { name: /^Remove/ }).count(), 0);
  await close();
});

test('the page reports a broken connection, and its log continues with no line doubled', async () => {
  const project = await hub.createProject('broken-line');
  const job = await hub.push(project, 'First');
  await job.run();
  await job.begin('build');
  await job.log('build', 'before\nhalf a');
  const wire = await startWire(hub.url);
  const { page, close } = await openConsole(`/deployments/${job.id}`, { url: wire.url });
  await page.getByText('half a').waitFor();
  await wire.cut();
  await page.getByText('The connection to the hub is lost').waitFor();
  await job.log('build', ' line\nafter\n');
  await wire.mend();
  await page.getByText('after').waitFor();
  assert.deepEqual(await logLines(page), ['before', 'half a line', 'after']);
  await page.getByText('The connection to the hub is lost').waitFor({ state: 'detached' });
  await job.done('build', 100, { ...exampleRelease(job.id).image });
  await step(page, 'build').getByText('100 ms').waitFor();
  await close();
  await wire.close();
});

test('the page of a long log shows its last lines, and the download has all of it', async () => {
  const project = await hub.createProject('chatty');
  const job = await hub.push(project, 'Long log');
  await job.run();
  await job.begin('build');
  const lines = Array.from({ length: 8000 }, (_, n) => `line ${n}`);
  const write = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 1000) await job.log('build', `${lines.slice(at, at + 1000).join('\n')}\n`);
  };
  await write(0, 7000);
  const { page, complaints, close } = await openConsole(`/deployments/${job.id}`);
  await page.getByText('line 6999').waitFor();
  await page.getByText('2,000 earlier lines are in the download.').waitFor();
  await write(7000, 8000);
  await page.getByText('3,000 earlier lines are in the download.').waitFor();
  assert.equal(await page.locator('.log-lines li').count(), 5000);
  assert.equal(await page.locator('.log-lines li').first().innerText(), 'line 3000');
  assert.ok(await page.getByText('line 7999').isVisible(), 'the end of the log is in sight');
  const downloading = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download log' }).click();
  const file = await (await downloading).path();
  assert.equal(readFileSync(file, 'utf8'), `${lines.join('\n')}\n`);
  assert.deepEqual(complaints, []);
  await close();
});

test('the page of hosts shows their state; a wrong token is refused; logging out ends the session', async () => {
  hub.agent.say({ type: 'status', status: HOST_STATUS });
  const { page, complaints, close } = await openConsole('/hosts');
  const card = page.getByRole('listitem').filter({ hasText: 'vps-1' });
  await card.getByText('online').waitFor();
  await card.getByText('28.2.2').waitFor();
  await card.getByText('Live restore is off').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('API token').fill('ork_wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').getByText('ORK_UNAUTHENTICATED').waitFor();
  await page.reload();
  await page.getByLabel('API token').waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('a button upgrades a host; a failed upgrade shows what to do, is tried again, and is ended', async () => {
  const { page, complaints, close } = await openConsole('/hosts');
  await page.getByRole('button', { name: `Upgrade vps-1 to ${NEXT_VERSION}` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Upgrade' }).click();
  const panel = page.getByRole('region', { name: `Upgrade to ${NEXT_VERSION}` });
  await panel.getByText('running').waitFor();
  const { upgradeId } = await hub.agent.next('upgrade');
  assert.equal(await page.getByRole('button', { name: /^Upgrade / }).count(), 0, 'One at a time.');
  const news = { type: 'upgrade-state', upgradeId, version: NEXT_VERSION } as const;
  const error: ErrorReport = { code: 'ORK_UPGRADE_UNSUPPORTED', message: 'It runs from sources.', evidence: [] };
  hub.agent.say({ ...news, state: 'failed', error });
  await panel.getByText('paused').waitFor();
  await panel.getByRole('alert').getByText('It runs from sources.').waitFor();
  await panel.getByRole('alert').getByText("run the hub's install command").waitFor();
  await panel.getByRole('button', { name: 'Try again' }).click();
  assert.notEqual((await hub.agent.next('upgrade')).upgradeId, upgradeId);
  await panel.getByRole('button', { name: 'End it' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await panel.waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
  await close();
});

test('the console loads nothing from another server, and its script is small', async () => {
  const context = await started.browser.newContext();
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).origin));
  await page.goto(hub.url);
  await page.getByLabel('API token').waitFor();
  assert.deepEqual([...new Set(asked)], [hub.url]);
  await context.close();
  const assets = join(ROOT, 'hub/console/dist/assets');
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
  assert.ok(bytes < MAX_SCRIPT_BYTES, `${bytes} bytes of script, gzipped`);
});
