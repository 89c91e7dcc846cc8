/** A failing deployment leaves visitors and host as they were, and gives its reason in one sentence. */
import { strict as assert } from 'node:assert';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { apiPath } from '../../hub/cli/client.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

interface Expected {
  readonly step: StepName;
  readonly code: ErrorCode;
  readonly message: RegExp;
}

const FAILING: Readonly<Record<string, Expected>> = {
  'nothing-detected': { step: 'analyze', code: 'ORK_NOTHING_DETECTED', message: /package\.json/ },
  'build-fails': { step: 'build', code: 'ORK_BUILD_FAILED', message: /exit code/ },
  'start-exits': { step: 'health', code: 'ORK_APP_EXITED', message: /exit code 3/ },
  'port-never': { step: 'health', code: 'ORK_PORT_CLOSED', message: /no port/ },
  'port-wrong': { step: 'health', code: 'ORK_PORT_WRONG', message: /4999/ },
  'binds-loopback': { step: 'health', code: 'ORK_PORT_LOOPBACK', message: /127\.0\.0\.1:\d+ only/ },
  'unhealthy-500': { step: 'health', code: 'ORK_UNHEALTHY', message: /500/ },
};

describe('a deployment that fails', () => {
  let stack: Stack;
  let project: TestProject;
  let engine: EngineApi;

  before(async () => {
    stack = await startStack();
    engine = new EngineApi(stack.plan.dockerSocket);
    project = await stack.createProject('node-plain', {
      slug: 'steady',
      settings: { healthCheck: { kind: 'auto', startSeconds: 6 } },
    });
    const first = await project.deploy();
    assert.equal(first.status, 'live', JSON.stringify(first.error));
  });
  after(async () => {
    await engine.close();
    await stack.stop();
  });

  for (const [fixture, expected] of Object.entries(FAILING)) {
    test(`${fixture}: fails at ${expected.step} with ${expected.code} and the old deployment serves on`, async () => {
      const scope = `orkestr.scope=${stack.scope}`;
      const containersBefore = (await engine.containers(scope)).map(({ Id }) => Id);
      const imagesBefore = (await engine.images(scope)).map(({ Id }) => Id);
      const served = await project.get('/');
      replaceTree(project, fixture);
      const deployment = await project.deploy({ 'change.txt': fixture });

      assert.equal(deployment.status, 'failed');
      assert.equal(deployment.error?.code, expected.code, JSON.stringify(deployment.error));
      assert.match(deployment.error.message, expected.message);
      const failed = deployment.steps.find(({ status }) => status === 'failed');
      assert.equal(failed?.name, expected.step);
      if (expected.code === 'ORK_APP_EXITED') {
        const path = `${apiPath('deployments', deployment.id)}/logs`;
        const log = await stack.client.open({ method: 'GET', path, query: { step: 'deploy' } });
        assert.match(
          await log.body.text(),
          /what the app wrote last:\n {2}app: .+/,
          'the app is gone, its words are not',
        );
      }
      assert.deepEqual(await project.get('/').then(({ status, body }) => ({ status, body })), {
        status: served.status,
        body: served.body,
      });
      assert.deepEqual(
        (await engine.containers(scope)).map(({ Id }) => Id),
        containersBefore,
        'no container is left over',
      );
      assert.deepEqual(
        (await engine.images(scope)).map(({ Id }) => Id),
        imagesBefore,
        'no image is left over',
      );
    });
  }

  test('after all the failures the next good push goes live', async () => {
    replaceTree(project, 'node-plain');
    const deployment = await project.deploy({ 'change.txt': 'good again' });
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.equal((await engine.containers(`orkestr.scope=${stack.scope}`)).length, 1);
  });
});

/** Replaces the work tree by the fixture's files. */
function replaceTree(project: TestProject, fixture: string): void {
  project.tree.clear();
  cpSync(join(ROOT, 'test/fixtures/apps', fixture), project.tree.folder, { recursive: true });
}
