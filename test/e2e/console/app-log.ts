/** The console's page of an app's output, in a real browser; the test acts as the agent. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AppLogOrder } from '../../../protocol/app-log.ts';
import { startConsole } from './browser.ts';
import type { ConsoleBrowser } from './browser.ts';
import type { SeededHub } from './seed.ts';

let started: ConsoleBrowser;
let hub: SeededHub;
before(async () => {
  started = await startConsole();
  ({ hub } = started);
});
after(() => started?.stop());

test("the page follows an app's log across a break, and says when the host is offline", async () => {
  const project = await hub.createProject('talks');
  const job = await hub.push(project, 'Talks');
  await job.build('Talks', []);
  await job.goLive();
  const { page, complaints, close } = await started.open('/projects/talks');
  await page.getByRole('link', { name: 'Logs of production' }).click();

  let count = 0;
  const say = (order: AppLogOrder, ...texts: string[]): void => {
    const lines = texts.map((text) => {
      count += 1;
      return { at: `2030-01-01T00:00:00.${String(count).padStart(9, '0')}Z`, stream: 'stdout' as const, text };
    });
    hub.agent.say({ type: 'app-log-chunk', readId: order.readId, deploymentId: job.id, leftOut: 0, lines });
  };
  const order = await hub.agent.next('app-log');
  assert.equal(order.follow, true);
  say(order, 'listening on <b>8080</b>', '\u001b[31mred\u001b[0m');
  await page.getByText('listening on <b>8080</b>').waitFor();
  await page.getByRole('status').getByText('live').waitFor();

  // A reader who has scrolled up is not disturbed; new lines appear below.
  const log = page.getByRole('log');
  say(order, ...Array.from({ length: 200 }, (_, n) => `line ${n}`));
  await page.getByText('line 199').waitFor();
  await log.evaluate((box) => (box.scrollTop = 0));
  await page.locator('.log[data-following="false"]').waitFor();
  say(order, 'below');
  await page.getByText('below').waitFor({ state: 'attached' });
  assert.equal(await log.evaluate((box) => box.scrollTop), 0);

  // The host breaks off: the page resumes by itself after the last line.
  const error = { code: 'ORK_ENGINE_UNREACHABLE' as const, message: 'Docker Engine broke off.', evidence: [] };
  hub.agent.say({ type: 'app-log-end', readId: order.readId, error });
  const resumed = await hub.agent.next('app-log');
  assert.deepEqual(resumed.after, [
    { deploymentId: job.id, at: `2030-01-01T00:00:00.${String(count).padStart(9, '0')}Z` },
  ]);
  say(resumed, 'goes on');
  await page.getByText('goes on').waitFor({ state: 'attached' });
  assert.equal(await page.getByText('below').count(), 1);

  hub.agent.socket.terminate();
  await page.getByRole('alert').getByText('ORK_HOST_OFFLINE').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /orkestr-agent logs --app/);
  const policy = complaints.filter((text) => !/503/.test(text));
  assert.deepEqual(policy, []);
  await close();
});
