/**
 * `kill -9` of each process during a deployment: it ends or fails cleanly, the app serves, nothing is duplicated. One
 * story in the order of its tests.
 */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { FailpointName } from '../../agent/deployment/failpoint.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import { nodeApp } from '../harness/node-app.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';
import { until } from '../harness/until.ts';

// A sample of the crash matrix: before and after the effect and its record, on both sides of the flip.
const UP_TO_BUILD: readonly FailpointName[] = ['clone:acted', 'build:begun', 'build:acted'];
const BEHIND_BUILD: readonly FailpointName[] = [
  'deploy:acted',
  'health:done',
  'cutover:acted',
  'finalize:begun',
  'finalize:acted',
];
const BEFORE_A_REBOOT: readonly FailpointName[] = ['deploy:acted', 'health:done', 'cutover:acted'];

/** A deployment, and what the app answers once it is live. */
interface Version {
  readonly id: string;
  readonly answer: string;
}

describe('kill -9 in the middle of a deployment', () => {
  let stack: Stack;
  let project: TestProject;
  /** All that were pushed, in their order. */
  const pushed: Version[] = [];
  let live = '';

  before(async () => {
    stack = await startStack();
    project = await stack.createProject(nodeApp("res.end('0');"), { slug: 'crash' });
    await project.goesLive();
    live = '0';
  });
  after(() => stack.stop());

  async function push(): Promise<Version> {
    const answer = String(pushed.length + 1);
    const { id } = await project.push(nodeApp(`res.end('${answer}');`));
    pushed.push({ id, answer });
    return { id, answer };
  }

  /** Starts a rollback to that one of the two newest versions which is not live: without a build, since it has an image. */
  async function swap(): Promise<Version> {
    const other = pushed.slice(-2).find(({ answer }) => answer !== live);
    assert.ok(other);
    const { id } = await project.rollback(other);
    return { id, answer: other.answer };
  }

  /** Begins a deployment, and lets the agent die at the failpoint. */
  async function dieAt(failpoint: FailpointName, begin: () => Promise<Version>): Promise<Version> {
    const agent = await stack.restart('agent', { ORKESTR_FAILPOINT: failpoint });
    const version = await begin();
    assert.equal((await agent.exited).signal, 'SIGKILL');
    const { status, body } = await project.get();
    assert.equal(status, 200);
    assert.ok([live, version.answer].includes(body), 'old or new answers while the agent is down');
    return version;
  }

  async function mustGoLive({ id, answer }: Version): Promise<DeploymentDetail> {
    const deployment = await stack.goesLive(id);
    assert.equal((await project.get()).body, answer);
    assert.equal((await project.containers()).length, 1, 'one container, none doubled, none left over');
    live = answer;
    return deployment;
  }

  const begins = [
    ...UP_TO_BUILD.map((failpoint) => ({ failpoint, begin: push })),
    ...BEHIND_BUILD.map((failpoint) => ({ failpoint, begin: swap })),
  ];
  for (const { failpoint, begin } of begins) {
    test(`the agent dies at ${failpoint}: after its restart the deployment goes live, once`, async () => {
      const version = await dieAt(failpoint, begin);
      await stack.start('agent');
      await mustGoLive(version);
    });
  }

  for (const failpoint of BEFORE_A_REBOOT) {
    test(`the agent dies at ${failpoint}, and a reboot stops the new container: it is started again and goes live`, async () => {
      const version = await dieAt(failpoint, swap);
      const started = (await project.containers()).find(({ Names }) => Names.includes(`/orkestr-${version.id}`));
      assert.ok(started);
      await stack.engine.stopContainer(started.Id, 0);
      await stack.start('agent');
      await mustGoLive(version);
    });
  }

  test('the hub dies: the agent finishes without it and reports when it is back', async () => {
    const version = await push();
    // Its code comes from the hub's git remote; after that, the deployment does not need the hub.
    await stack.waitForDeployment(version.id, ({ steps }) => steps.some(({ name }) => name === 'analyze'));
    await stack.kill('hub');
    const isServed = async (): Promise<boolean> => (await project.get()).body === version.answer;
    await until(isServed, 'the new version serves without a hub', { lookMs: 200, neverMs: 120_000 });
    await stack.start('hub');
    const { steps } = await mustGoLive(version);
    assert.equal(steps.filter(({ status }) => status === 'done').length, STEP_NAMES.length, 'no step was lost');
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${version.id}/logs` });
    assert.match(await log.body.text(), /generation \d+ serves/, 'the log of the time without a hub is there');
  });

  test('the proxy dies: it serves the saved table at once after its restart', async () => {
    await stack.kill('proxy');
    await stack.start('proxy');
    assert.equal((await project.get()).body, live);
  });

  test('all three die at once: the app answers and the next push goes live', async () => {
    await Promise.all([stack.kill('hub'), stack.kill('proxy'), stack.kill('agent')]);
    await stack.start('proxy');
    assert.equal((await project.get()).body, live);
    await stack.start('hub');
    await stack.start('agent');
    await mustGoLive(await push());
  });
});
