/** A failing deployment leaves visitors and host as they were, and gives its reason in one sentence. */
import { strict as assert } from 'node:assert';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { apiPath } from '../../../hub/api/paths.ts';
import { ROOT } from '../../../installer/stack/stack.ts';
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';
import type { StepName } from '../../../protocol/steps.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';

interface Expected {
  readonly step: StepName;
  readonly code: ErrorCode;
  readonly message: RegExp;
}

const FAILING: Readonly<Record<string, Expected>> = {
  'nothing-detected': { step: 'analyze', code: 'ORK_NOTHING_DETECTED', message: /package\.json/ },
  'build-fails': { step: 'build', code: 'ORK_BUILD_FAILED', message: /exit code/ },
  'start-exits': { step: 'health', code: 'ORK_APP_EXITED', message: /exited with code 3/ },
  'port-never': { step: 'health', code: 'ORK_PORT_CLOSED', message: /no port/ },
  'port-wrong': { step: 'health', code: 'ORK_PORT_WRONG', message: /4999/ },
  'binds-loopback': { step: 'health', code: 'ORK_PORT_LOOPBACK', message: /127\.0\.0\.1:\d+ only/ },
  'unhealthy-500': { step: 'health', code: 'ORK_UNHEALTHY', message: /500/ },
};

export function failures(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = given();
    project = await stack.createProject('node-plain', {
      slug: 'steady',
      settings: { healthCheck: { kind: 'auto', startSeconds: 6 } },
    });
    await project.goesLive();
  });

  const onHost = async () => ({
    containers: (await project.containers()).map(({ Id }) => Id),
    images: (await project.images()).map(({ Id }) => Id),
  });
  const front = async () => {
    const { status, body } = await project.get();
    return { status, body };
  };

  for (const [fixture, expected] of Object.entries(FAILING)) {
    test(`${fixture} fails at ${expected.step} with ${expected.code}, and the old deployment keeps serving`, async () => {
      const [had, served] = [await onHost(), await front()];
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
        const text = await log.body.text();
        assert.match(text, /what the app wrote last:\n {2}app: .+/, 'the app is gone, its last lines are not');
      }
      assert.deepEqual(await front(), served);
      assert.deepEqual(await onHost(), had, 'no container and no image is left over');
    });
  }

  test('the next good push goes live after all the failures', async () => {
    replaceTree(project, 'node-plain');
    await project.goesLive({ 'change.txt': 'good again' });
    assert.equal((await project.containers()).length, 1);
  });
}

/** Replaces the work tree by the fixture's files. */
function replaceTree(project: TestProject, fixture: string): void {
  project.tree.clear();
  cpSync(join(ROOT, 'test/fixtures/apps', fixture), project.tree.folder, { recursive: true });
}
