/** `kill -9` of each process during a deployment: it ends or fails cleanly, the app serves, nothing is duplicated. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** A sample of the crash matrix: before and after the effect and its record, on both sides of the flip. */
const FAILPOINTS = [
  'clone:acted',
  'build:begun',
  'build:acted',
  'deploy:acted',
  'health:done',
  'cutover:acted',
  'finalize:begun',
  'finalize:acted',
];

describe('kill -9 in the middle of a deployment', () => {
  let stack: Stack;
  let project: TestProject;
  let engine: EngineApi;
  let version = 0;

  const app = () => ({
    'package.json': JSON.stringify({ name: 'crash', scripts: { start: 'node server.js' } }),
    'server.js': `require('node:http').createServer((_, res) => res.end('${++version}')).listen(process.env.PORT, '0.0.0.0');`,
  });
  const containers = () => engine.containers(`orkestr.scope=${stack.scope}`);

  before(async () => {
    stack = await startStack();
    engine = new EngineApi(stack.plan.dockerSocket);
    project = await stack.createProject(app(), { slug: 'crash' });
    assert.equal((await project.deploy()).status, 'live');
  });
  after(async () => {
    await engine.close();
    await stack.stop();
  });

  for (const failpoint of FAILPOINTS) {
    test(`of the agent at ${failpoint}: after its restart the deployment goes live, once`, async () => {
      const agent = await stack.restart('agent', { ORKESTR_FAILPOINT: failpoint });
      project.tree.write(app());
      await project.tree.commit(failpoint);
      const pushed = await project.push();
      const exit = await agent.exited;
      assert.equal(exit.signal, 'SIGKILL');
      const between = await project.get();
      assert.equal(between.status, 200);
      assert.ok([`${version}`, `${version - 1}`].includes(between.body), 'old or new answers while the agent is away');
      await stack.start('agent');
      const deployment = await stack.waitForDeployment(pushed.id);
      assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
      assert.equal((await project.get()).body, `${version}`);
      assert.equal((await containers()).length, 1, 'one container, none doubled, none left over');
    });
  }

  for (const failpoint of ['deploy:acted', 'health:done', 'cutover:acted']) {
    test(`of the agent at ${failpoint}, and a reboot stops the new container: it is started again and goes live`, async () => {
      const agent = await stack.restart('agent', { ORKESTR_FAILPOINT: failpoint });
      project.tree.write(app());
      await project.tree.commit(`reboot at ${failpoint}`);
      const pushed = await project.push();
      await agent.exited;
      const started = (await containers()).find(({ Names }) => Names.includes(`/orkestr-${pushed.id}`));
      assert.ok(started);
      await engine.stopContainer(started.Id, 0);
      await stack.start('agent');
      const deployment = await stack.waitForDeployment(pushed.id);
      assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
      assert.equal((await project.get()).body, `${version}`);
      assert.equal((await containers()).length, 1, 'one container, none doubled, none left over');
    });
  }

  test('of the hub: the agent finishes without it and reports when it is back', async () => {
    project.tree.write(app());
    await project.tree.commit('hub away');
    const pushed = await project.push();
    // Its code comes from the hub's git remote; after that, the deployment does not need the hub.
    await stack.waitForDeployment(pushed.id, ({ steps }) => steps.some(({ name }) => name === 'analyze'));
    await stack.kill('hub');
    const deadline = performance.now() + 120_000;
    while ((await project.get()).body !== `${version}`) {
      assert.ok(performance.now() < deadline, 'the new version came up without a hub');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await stack.start('hub');
    const deployment = await stack.waitForDeployment(pushed.id);
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.equal(deployment.steps.filter(({ status }) => status === 'done').length, 7, 'no step was lost');
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${pushed.id}/logs` });
    assert.match(await log.body.text(), /generation \d+ serves/, 'the log of the time without a hub is there');
  });

  test('of the proxy: it serves the saved table at once after its restart', async () => {
    await stack.kill('proxy');
    await stack.start('proxy');
    assert.equal((await project.get()).body, `${version}`);
  });

  test('of all three at once: the app answers and the next push goes live', async () => {
    await Promise.all([stack.kill('hub'), stack.kill('proxy'), stack.kill('agent')]);
    await stack.start('proxy');
    assert.equal((await project.get()).body, `${version}`);
    await stack.start('hub');
    await stack.start('agent');
    const deployment = await project.deploy(app());
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.equal((await containers()).length, 1);
  });
});
