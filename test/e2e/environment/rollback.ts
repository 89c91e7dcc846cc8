/** Back to an earlier release: at once while its image is on the host, else by building its commit again. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { Environment } from '../../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { nodeApp } from '../../harness/node-app.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';

const app = (version: string) => nodeApp(`res.end('${version} ' + process.env.GREETING);`);

export function rollback(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;
  let first: DeploymentDetail;

  before(async () => {
    stack = given();
    project = await stack.createProject(app('one'), { slug: 'back', variables: { GREETING: 'hello-then' } });
    first = await project.goesLive();
    await project.setVariables({ GREETING: 'hello-now' });
    await project.goesLive(app('two'));
    assert.equal((await project.get()).body, 'two hello-now');
  });

  const goBack = async (variables?: 'current' | 'release'): Promise<DeploymentDetail> =>
    stack.goesLive((await project.rollback(first, variables)).id);
  const skipped = (deployment: DeploymentDetail): string[] =>
    deployment.steps.filter(({ status }) => status === 'skipped').map(({ name }) => name);

  test("a rollback enters at deploy while the image is retained, says so, and uses today's variables", async () => {
    const deployment = await goBack();
    assert.deepEqual(skipped(deployment), ['clone', 'analyze', 'build']);
    assert.match(deployment.steps[0]?.note ?? '', /retained/);
    assert.equal((await project.get()).body, 'one hello-now');
  });

  test("a rollback uses the release's own variables on request", async () => {
    await goBack('release');
    assert.equal((await project.get()).body, 'one hello-then');
  });

  test('a rollback to the live release applies the current settings without a build', async () => {
    const live = await goBack();
    const environment = apiPath('projects', project.slug, 'environments', 'production');
    const again = async (maintenance: boolean): Promise<number> => {
      await stack.client.patch(environment, { settings: { edge: { maintenance } } }, Environment);
      const asked = await project.rollback(live);
      assert.deepEqual(skipped(await stack.waitForDeployment(asked.id)), ['clone', 'analyze', 'build']);
      return (await project.get()).status;
    };
    assert.equal(await again(true), 503);
    assert.equal(await again(false), 200);
  });

  test('a rollback without its image builds the exact commit again, and says that the image is the same', async () => {
    await project.goesLive(app('three'));
    await stack.engine.removeImage(first.release?.image.id ?? '');
    const deployment = await goBack();
    assert.deepEqual(skipped(deployment), []);
    assert.equal(deployment.commit, first.commit);
    // The plan is the release's, and the layers come from the build cache.
    assert.deepEqual(deployment.release?.plan, first.release?.plan);
    assert.deepEqual(deployment.release?.image.rebuild, { of: first.id, identical: true, differences: [] });
    assert.equal((await project.get()).body, 'one hello-now');
  });

  test('a rollback to a deployment that never went live is refused', async () => {
    const failed = await project.deploy({ 'package.json': '{ not json' });
    assert.equal(failed.error?.code, 'ORK_MANIFEST_INVALID');
    await assert.rejects(
      project.rollback(failed),
      (error) => error instanceof OrkestrError && ['ORK_CONFLICT', 'ORK_NOT_FOUND'].includes(error.code),
    );
  });
}
