/** Back to an earlier release: at once while its image is on the host, else by building its commit again. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { Deployment, Environment } from '../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/cli/client.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

const app = (version: string) => ({
  'package.json': JSON.stringify({ name: 'back', scripts: { start: 'node server.js' } }),
  'server.js': `require('node:http').createServer((_, res) => res.end('${version} ' + process.env.GREETING)).listen(process.env.PORT, '0.0.0.0');`,
});

describe('a rollback', () => {
  let stack: Stack;
  let project: TestProject;
  let first: DeploymentDetail;

  before(async () => {
    stack = await startStack();
    project = await stack.createProject(app('one'), { slug: 'back', variables: { GREETING: 'hello-then' } });
    first = await project.deploy();
    assert.equal(first.status, 'live', JSON.stringify(first.error));
    await project.setVariables({ GREETING: 'hello-now' });
    const second = await project.deploy(app('two'));
    assert.equal(second.status, 'live', JSON.stringify(second.error));
    assert.equal((await project.get()).body, 'two hello-now');
  });
  after(() => stack.stop());

  const rollback = async (variables?: 'current' | 'release'): Promise<DeploymentDetail> => {
    const asked = await stack.client.post(
      `${apiPath('deployments', first.id)}/rollback`,
      variables === undefined ? {} : { variables },
      Deployment,
    );
    return stack.waitForDeployment(asked.id);
  };
  const skipped = (deployment: DeploymentDetail): string[] =>
    deployment.steps.filter(({ status }) => status === 'skipped').map(({ name }) => name);

  test("enters at deploy while the image is retained, says so, and uses today's variables", async () => {
    const deployment = await rollback();
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.deepEqual(skipped(deployment), ['clone', 'analyze', 'build']);
    assert.match(deployment.steps[0]?.note ?? '', /retained/);
    assert.equal((await project.get()).body, 'one hello-now');
  });

  test("uses the release's own variables when asked to", async () => {
    const deployment = await rollback('release');
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.equal((await project.get()).body, 'one hello-then');
  });

  test('to what is live makes settings of now active without a build', async () => {
    const live = await rollback();
    const environment = apiPath('projects', project.slug, 'environments', 'production');
    const again = async (maintenance: boolean): Promise<number> => {
      await stack.client.patch(environment, { settings: { edge: { maintenance } } }, Environment);
      const asked = await stack.client.post(`${apiPath('deployments', live.id)}/rollback`, {}, Deployment);
      assert.deepEqual(skipped(await stack.waitForDeployment(asked.id)), ['clone', 'analyze', 'build']);
      return (await project.get()).status;
    };
    assert.equal(await again(true), 503);
    assert.equal(await again(false), 200);
  });

  test('builds the exact commit again when the image is gone, and says that it is the same', async () => {
    const forward = await project.deploy(app('three'));
    assert.equal(forward.status, 'live', JSON.stringify(forward.error));
    const engine = new EngineApi(stack.plan.dockerSocket);
    try {
      await engine.removeImage(first.release?.image.id ?? '');
    } finally {
      await engine.close();
    }
    const deployment = await rollback();
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.deepEqual(skipped(deployment), []);
    assert.equal(deployment.commit, first.commit);
    // The plan is the release's, and the layers come from the build cache.
    assert.deepEqual(deployment.release?.plan, first.release?.plan);
    assert.deepEqual(deployment.release?.image.rebuild, { of: first.id, identical: true, differences: [] });
    assert.equal((await project.get()).body, 'one hello-now');
  });

  test('of a deployment that never went live is refused', async () => {
    const failed = await project.deploy({ 'package.json': '{ not json' });
    assert.equal(failed.error?.code, 'ORK_MANIFEST_INVALID');
    await assert.rejects(
      stack.client.post(`${apiPath('deployments', failed.id)}/rollback`, {}, Deployment),
      (error) => error instanceof OrkestrError && ['ORK_CONFLICT', 'ORK_NOT_FOUND'].includes(error.code),
    );
  });
});
