/** Settings of the edge all the way: from the API through the signed job and the flip to the visitor. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { Environment } from '../../hub/api/schemas.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

const PASSWORD = 'correct horse battery';
const APP = {
  'package.json': JSON.stringify({ name: 'edge', scripts: { start: 'node server.js' } }),
  'server.js': `require('node:http').createServer((req, res) => res.end(req.url)).listen(process.env.PORT, '0.0.0.0');`,
};

describe('settings of the edge', () => {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = await startStack();
    project = await stack.createProject(APP, {
      slug: 'edge',
      settings: {
        domains: [{ host: '*.wild.localhost' }, { host: 'edge.localhost', pathPrefix: '/shop', stripPrefix: true }],
        edge: { basicAuth: [{ user: 'ada', password: PASSWORD }], maxBodyBytes: 10 },
      },
    });
    const deployment = await project.deploy();
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
  });
  after(() => stack.stop());

  const ask = async (host: string, path: string, password: string | null, body?: string) => {
    const credentials = Buffer.from(`ada:${password ?? ''}`).toString('base64');
    const answer = await request(`${stack.proxyUrl}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { host, ...(password !== null && { authorization: `Basic ${credentials}` }) },
      body: body ?? null,
    });
    return { status: answer.statusCode, body: await answer.body.text() };
  };

  test('the password that was given to the API opens the app, and nothing else does', async () => {
    assert.equal((await ask('a.wild.localhost', '/', null)).status, 401);
    assert.equal((await ask('a.wild.localhost', '/', 'wrong password')).status, 401);
    assert.deepEqual(await ask('a.wild.localhost', '/x', PASSWORD), { status: 200, body: '/x' });
  });

  test('a wildcard stands for one label, and a prefix is stripped', async () => {
    assert.equal((await ask('a.b.wild.localhost', '/', PASSWORD)).status, 404);
    assert.deepEqual(await ask('edge.localhost', '/shop/cart', PASSWORD), { status: 200, body: '/cart' });
    assert.equal((await ask('edge.localhost', '/other', PASSWORD)).status, 404);
  });

  test('limits hold', async () => {
    assert.equal((await ask('a.wild.localhost', '/', PASSWORD, 'x'.repeat(11))).status, 413);
  });

  test('maintenance and a new domain are active at once, without a deployment', async () => {
    const path = '/projects/edge/environments/production';
    const change = async (settings: object): Promise<void> => {
      let environment = await stack.client.patch(path, { settings }, Environment);
      for (let left = 100; environment.edge.state === 'sent' && left > 0; left -= 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        environment = await stack.client.get(path, Environment);
      }
      assert.deepEqual(environment.edge, { state: 'active', error: null });
    };
    const before = (await stack.deployments('edge')).length;
    const kept = [{ host: '*.wild.localhost' }, { host: 'edge.localhost', pathPrefix: '/shop', stripPrefix: true }];
    await change({ edge: { maintenance: true }, domains: [...kept, { host: 'new.localhost' }] });
    assert.equal((await ask('new.localhost', '/', PASSWORD)).status, 503);
    await change({ edge: { maintenance: null } });
    assert.deepEqual(await ask('new.localhost', '/x', PASSWORD), { status: 200, body: '/x' });
    await change({ domains: kept });
    assert.equal((await ask('new.localhost', '/x', PASSWORD)).status, 404);
    assert.equal((await stack.deployments('edge')).length, before);
  });

  test('`orkestr-agent routes` names the environment, and no hash of a password', async () => {
    const { stdout } = await stack.agentCli('routes', '--json');
    const [upstream] = (JSON.parse(stdout) as { upstreams: { name: string; targets: unknown[] }[] }).upstreams;
    assert.equal(upstream?.name, 'edge/production');
    assert.equal(upstream.targets.length, 1);
    assert.ok(!stdout.includes('scrypt'));
    const table = await stack.agentCli('routes');
    assert.match(table.stdout, /^\*\.wild\.localhost +edge\/production +[\d.:]+ +healthy +0 +0 /m);
    assert.match(table.stdout, /^edge\.localhost\/shop$/m);
  });
});
