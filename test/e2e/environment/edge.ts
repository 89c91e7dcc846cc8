/** Settings of the edge all the way: from the API through the signed job and the flip to the visitor. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { request } from 'undici';
import { Environment } from '../../../hub/api/schemas.ts';
import { nodeApp } from '../../harness/node-app.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';
import { until } from '../../harness/until.ts';

const PASSWORD = 'correct horse battery';
const DOMAINS = [{ host: '*.wild.localhost' }, { host: 'edge.localhost', pathPrefix: '/shop', stripPrefix: true }];

export function edgeSettings(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = given();
    project = await stack.createProject(nodeApp('res.end(req.url);'), {
      slug: 'edge',
      settings: {
        domains: DOMAINS,
        edge: { basicAuth: [{ user: 'ada', password: PASSWORD }], maxBodyBytes: 10 },
      },
    });
    await project.goesLive();
  });

  const ask = async (host: string, path: string, password: string | null, body?: string) => {
    const credentials = Buffer.from(`ada:${password ?? ''}`).toString('base64');
    const answer = await request(`${stack.proxyUrl}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { host, ...(password !== null && { authorization: `Basic ${credentials}` }) },
      body: body ?? null,
    });
    return { status: answer.statusCode, body: await answer.body.text() };
  };

  test('only the password that the API was given opens the app', async () => {
    assert.equal((await ask('a.wild.localhost', '/', null)).status, 401);
    assert.equal((await ask('a.wild.localhost', '/', 'wrong password')).status, 401);
    assert.deepEqual(await ask('a.wild.localhost', '/x', PASSWORD), { status: 200, body: '/x' });
  });

  test('a wildcard stands for one label, and a prefix is stripped', async () => {
    assert.equal((await ask('a.b.wild.localhost', '/', PASSWORD)).status, 404);
    assert.deepEqual(await ask('edge.localhost', '/shop/cart', PASSWORD), { status: 200, body: '/cart' });
    assert.equal((await ask('edge.localhost', '/other', PASSWORD)).status, 404);
  });

  test('a body beyond the limit is refused', async () => {
    assert.equal((await ask('a.wild.localhost', '/', PASSWORD, 'x'.repeat(11))).status, 413);
  });

  test('maintenance and a new domain take effect at once, without a deployment', async () => {
    const path = '/projects/edge/environments/production';
    const change = async (settings: object): Promise<void> => {
      await stack.client.patch(path, { settings }, Environment);
      const edge = async () => (await stack.client.get(path, Environment)).edge;
      await until(async () => (await edge()).state !== 'sent', 'the host answers the new settings', { lookMs: 50 });
      assert.deepEqual(await edge(), { state: 'active', error: null });
    };
    const before = (await stack.deployments('edge')).length;
    await change({ edge: { maintenance: true }, domains: [...DOMAINS, { host: 'new.localhost' }] });
    assert.equal((await ask('new.localhost', '/', PASSWORD)).status, 503);
    await change({ edge: { maintenance: null } });
    assert.deepEqual(await ask('new.localhost', '/x', PASSWORD), { status: 200, body: '/x' });
    await change({ domains: DOMAINS });
    assert.equal((await ask('new.localhost', '/x', PASSWORD)).status, 404);
    assert.equal((await stack.deployments('edge')).length, before);
  });

  test('`orkestr-agent routes` shows the environment by its name, and no hash of a password', async () => {
    const { stdout } = await stack.agentCli('routes', '--json');
    const { upstreams } = JSON.parse(stdout) as { upstreams: { name: string; targets: unknown[] }[] };
    assert.equal(upstreams.find(({ name }) => name === 'edge/production')?.targets.length, 1);
    assert.ok(!stdout.includes('scrypt'));
    const table = await stack.agentCli('routes');
    assert.match(table.stdout, /^\*\.wild\.localhost +edge\/production +[\d.:]+ +healthy +0 +0 /m);
    assert.match(table.stdout, /^edge\.localhost\/shop$/m);
  });
}
