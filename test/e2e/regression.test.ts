/** An app that was healthy and fails as soon as visitors arrive: the old version serves again by itself. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** Healthy at /healthz; the test decides what `/` and the process do otherwise. */
const app = (version: string, answer: string, beside = '') => ({
  'package.json': JSON.stringify({ name: 'regression', scripts: { start: 'node server.js' } }),
  'server.js': `
const http = require('node:http');
let probes = 0;
http.createServer((req, res) => {
  const version = '${version}';
  if (req.url === '/healthz') { probes += 1; res.end(); ${beside} return; }
  ${answer}
}).listen(process.env.PORT, '0.0.0.0');
`,
});
const GOOD = 'res.end(version);';

describe('a deployment that goes bad right after it was healthy', () => {
  let stack: Stack;
  let project: TestProject;
  let engine: EngineApi;
  const containers = () => engine.containers(`orkestr.scope=${stack.scope}`);

  before(async () => {
    stack = await startStack();
    engine = new EngineApi(stack.plan.dockerSocket);
    project = await stack.createProject(app('1', GOOD), {
      slug: 'regression',
      settings: { healthCheck: { kind: 'http', path: '/healthz' }, watchSeconds: 6 },
    });
    // Its cutover has nothing to compare with: no version served before.
    assert.equal((await project.deploy()).status, 'live');
  });
  after(async () => {
    await engine.close();
    await stack.stop();
  });

  test('answers 500: visitors are on the old version again, the deployment failed and says why', async () => {
    const [old] = await containers();
    const seen: string[] = [];
    const visitors = setInterval(() => {
      project.get().then(
        ({ status, body }) => seen.push(status === 200 ? body : String(status)),
        (error: unknown) => seen.push(String(error)),
      );
    }, 20);
    let deployment;
    try {
      deployment = await project.deploy(app('2', "console.log('no database'); res.statusCode = 500; res.end();"));
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
      (await containers()).map(({ Id }) => Id),
      [old?.Id],
      'the old container, and no other',
    );
  });

  test('dies without a visitor, and the agent is killed meanwhile: flipped back all the same', async () => {
    project.tree.write(app('3', GOOD, 'if (probes === 2) setTimeout(() => process.exit(7), 3000);'));
    await project.tree.commit('Dies soon');
    const { id } = await project.push();
    await stack.waitForDeployment(id, ({ steps }) =>
      steps.some(({ name, status }) => name === 'cutover' && status === 'running'),
    );
    await stack.kill('agent');
    await stack.start('agent');
    const deployment = await stack.waitForDeployment(id);
    assert.equal(deployment.error?.code, 'ORK_APP_REGRESSED', JSON.stringify(deployment.error));
    assert.match(deployment.error.evidence[0] ?? '', /exit code 7/);
    assert.equal((await project.get()).body, '1');
    assert.equal((await containers()).length, 1);
  });

  test('the next good one goes live', async () => {
    const deployment = await project.deploy({ ...app('4', GOOD) });
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    assert.equal((await project.get()).body, '4');
    assert.equal((await containers()).length, 1);
  });
});
