/** An app that was healthy and fails as soon as visitors arrive: the old version serves again by itself. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { nodeApp } from '../../harness/node-app.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';

/** Healthy at /healthz; the test decides what `/` and the process do otherwise. */
const app = (answer: string, beside = '') =>
  nodeApp(`if (req.url === '/healthz') { probes += 1; res.end(); ${beside} return; } ${answer}`, 'let probes = 0;');

export function regression(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = given();
    project = await stack.createProject(app("res.end('1');"), {
      slug: 'regression',
      settings: { healthCheck: { kind: 'http', path: '/healthz' }, watchSeconds: 6 },
    });
    // Its cutover has nothing to compare with: no version served before.
    await project.goesLive();
  });

  test('a version that answers 500 loses its visitors to the old one, and its deployment fails with the reason', async () => {
    const [old] = await project.containers();
    const seen: string[] = [];
    const visitors = setInterval(() => {
      project.get().then(
        ({ status, body }) => seen.push(status === 200 ? body : String(status)),
        (error: unknown) => seen.push(String(error)),
      );
    }, 20);
    let deployment;
    try {
      deployment = await project.deploy(app("console.log('no database'); res.statusCode = 500; res.end();"));
    } finally {
      clearInterval(visitors);
    }
    assert.equal(deployment.status, 'failed');
    assert.equal(deployment.error?.code, 'ORK_APP_REGRESSED', JSON.stringify(deployment.error));
    assert.match(deployment.error.evidence[0] ?? '', /of its \d+ answers .* were errors/);
    assert.match(deployment.error.evidence[1] ?? '', /^it had [1-9]\d* requests: [1-9]\d* answered 5xx, 0 failed;/);
    assert.ok(deployment.error.evidence.includes('app: no database'));
    assert.deepEqual(new Set(seen), new Set(['1', '500']), 'the proxy itself failed nobody');
    assert.equal((await project.get()).body, '1');
    assert.deepEqual(
      (await project.containers()).map(({ Id }) => Id),
      [old?.Id],
      'the old container, and no other',
    );
  });

  test('a version that dies without a visitor is flipped back from, also by an agent that was killed meanwhile', async () => {
    const dying = app("res.end('3');", 'if (probes === 2) setTimeout(() => process.exit(7), 3000);');
    const { id } = await project.push(dying);
    await stack.waitForDeployment(id, ({ steps }) =>
      steps.some(({ name, status }) => name === 'cutover' && status === 'running'),
    );
    await stack.kill('agent');
    await stack.start('agent');
    const deployment = await stack.waitForDeployment(id);
    assert.equal(deployment.error?.code, 'ORK_APP_REGRESSED', JSON.stringify(deployment.error));
    assert.match(deployment.error.evidence[0] ?? '', /exited with code 7/);
    assert.equal((await project.get()).body, '1');
    assert.equal((await project.containers()).length, 1);
  });

  test('the next good version goes live', async () => {
    await project.goesLive(app("res.end('4');"));
    assert.equal((await project.get()).body, '4');
    assert.equal((await project.containers()).length, 1);
  });
}
