/** Every good fixture app, from `git push` to an answer through the proxy, on the real path. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** Fixture → what its analysis must say, and what its front page must hold. */
const APPS = {
  'node-plain': { runtime: 'node', body: /node/i },
  express: { runtime: 'node', body: /express/i },
  'vite-static': { runtime: 'static', body: /<div id="(?:app|root)"/ },
  'python-stdlib': { runtime: 'python', body: /python/i },
  'go-http': { runtime: 'go', body: /go/i },
  'dockerfile-own': { runtime: 'dockerfile', body: /./ },
} as const;

describe('a pushed fixture app', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.stop());

  for (const [fixture, expected] of Object.entries(APPS)) {
    test(`${fixture} goes live and answers through the proxy`, async () => {
      const project = await stack.createProject(fixture, { settings: { build: { memoryMiB: 2048, cpus: 2 } } });
      const deployment = await project.deploy();
      assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
      assert.deepEqual(
        deployment.steps.map(({ name, status }) => [name, status]),
        ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover', 'finalize'].map((name) => [name, 'done']),
      );
      assert.equal(deployment.release?.plan.runtime, expected.runtime);
      assert.ok(deployment.release.plan.evidence.length > 0, 'the plan says what it was made from');
      const answer = await project.get('/');
      assert.equal(answer.status, 200);
      assert.match(answer.body, expected.body);
    });
  }
});
