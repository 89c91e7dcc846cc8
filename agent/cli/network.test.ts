import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { openTestJournal } from '../deployment/test-bench.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { localIdentity, scopeOf } from '../identity/identity.ts';
import type { Serving } from '../journal/serving.ts';
import { LABEL } from '../lib/labels.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { findProject } from './project.ts';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', 'main.ts');

/** The journal of a host on which `shop/production` serves. */
async function servingShop(t: TestContext): Promise<Serving> {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const live = { environmentId: IDS.environment, deploymentId: job.deploymentId } as LiveRecord;
  return { ...journal, allLive: () => [live] };
}

test('a project is found by its name if it is live here, and by its id in any case', async (t) => {
  const serving = await servingShop(t);
  assert.deepEqual(findProject(serving, 'shop'), { id: IDS.project, slug: 'shop' });
  assert.deepEqual(findProject(serving, IDS.project.toUpperCase()), { id: IDS.project, slug: 'shop' });
  assert.deepEqual(findProject(serving, IDS.host), { id: IDS.host, slug: null });
  assert.deepEqual(findProject(null, IDS.project), { id: IDS.project, slug: null });
});

test('an unknown project fails with the live ones and the way to its id; anything else is refused', async (t) => {
  const serving = await servingShop(t);
  const unknown = { code: 'ORK_NOT_FOUND', message: /`orkestr project show blog`/, evidence: ['Live here: shop'] };
  assert.throws(() => findProject(serving, 'blog'), unknown);
  assert.throws(() => findProject(null, 'blog'), { code: 'ORK_NOT_FOUND', evidence: ['Live here: nothing'] });
  assert.throws(() => findProject(serving, '--privileged'), { code: 'ORK_INVALID' });
});

test('`orkestr-agent network` makes the network of a project once, with the label of this host, and prints its name', async (t) => {
  const folder = temporaryFolder(t);
  const state = join(folder, 'state');
  const scope = scopeOf(localIdentity(state, 0).hostId);
  const made: { Name: string; Labels: Record<string, string> }[] = [];
  const engine = createServer((request, response) => {
    void (async () => {
      const path = new URL(request.url ?? '', 'http://engine').pathname.replace(/^\/v1\.\d+/, '');
      const found = made.find(({ Name }) => path === `/networks/${Name}`);
      if (path === '/networks/create') made.push((await json(request)) as (typeof made)[number]);
      const status = path === '/version' || found ? 200 : path === '/networks/create' ? 201 : 404;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found ?? { ApiVersion: '1.41', MinAPIVersion: '1.12', Id: 'made', message: 'none' }));
    })();
  }).listen(join(folder, 'engine.sock'));
  await once(engine, 'listening');
  t.after(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    ORKESTR_AGENT_STATE: state,
    ORKESTR_AGENT_RUN: folder,
    ORKESTR_DOCKER_SOCKET: join(folder, 'engine.sock'),
  };
  const agent = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [MAIN, 'network', ...args], { env })).stdout;
  const name = `orkestr-${IDS.project}`;
  assert.equal(await agent(IDS.project), `${name}\n`);
  assert.deepEqual(JSON.parse(await agent(IDS.project, '--json')), {
    network: name,
    project: { id: IDS.project, slug: null },
  });
  assert.deepEqual(
    made.map(({ Name, Labels }) => [Name, Labels]),
    [[name, { [LABEL.scope]: scope, [LABEL.project]: IDS.project }]],
  );
});
