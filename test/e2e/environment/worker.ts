/** A background worker: no port, no domain, deployed again and again, rolled back, started again. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { Deployment, Environment } from '../../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';
import { until } from '../../harness/until.ts';

/** Works until it is asked to end. An exit code of its own makes finalize keep its last words. */
const app = (version: string) => ({
  'package.json': JSON.stringify({ name: 'worker', scripts: { start: 'node work.js' } }),
  'work.js': `
console.log('${version} works with PORT=' + process.env.PORT);
setInterval(() => undefined, 1000);
process.on('SIGTERM', () => { console.log('${version} puts its job back'); process.exit(7); });
`,
});
const CRASHING = { 'work.js': "console.log('no queue at all'); setTimeout(() => process.exit(3), 300);" };

export function worker(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;
  let first: DeploymentDetail;

  before(async () => {
    stack = given();
    const healthCheck = { kind: 'running', runSeconds: 1 };
    project = await stack.createProject(app('one'), { slug: 'jobs', settings: { healthCheck } });
    first = await project.deploy();
    assert.equal(first.status, 'live', JSON.stringify(first.error));
  });

  const containers = () => stack.engine.containers(`orkestr.environment=${project.environmentId}`);
  /** The deployment whose container runs, alone. */
  const runs = async ({ id }: Pick<Deployment, 'id'>): Promise<void> =>
    assert.deepEqual(
      (await containers()).map(({ Names, State }) => [Names, State]),
      [[[`/orkestr-${id}`], 'running']],
    );
  const logOf = async ({ id }: Pick<Deployment, 'id'>): Promise<string> => {
    const answer = await stack.client.open({ method: 'GET', path: `${apiPath('deployments', id)}/logs` });
    return answer.body.text();
  };
  const appLog = async (): Promise<string> =>
    (await stack.agentCli('logs', '--app', 'jobs/production', '--tail', '5')).stdout;
  const environment = apiPath('projects', 'jobs', 'environments', 'production');

  test('goes live without a port and without a domain', async () => {
    await runs(first);
    assert.deepEqual(first.urls, []);
    const outputs = Object.fromEntries(first.steps.map(({ name, output }) => [name, output]));
    assert.partialDeepStrictEqual(outputs['health'], { probe: 'running', last: 'ran for 1 s' });
    assert.partialDeepStrictEqual(outputs['cutover'], { urls: [], failed: 0 });
    assert.match(await logOf(first), /no requests: it has no domain/);
    assert.match(await appLog(), /one works with PORT=undefined/);
    assert.equal((await stack.get('jobs.localhost')).status, 404);
    assert.match((await stack.agentCli('routes')).stdout, /^\(no domain\) +jobs\/production +[\d.]+ +healthy /m);
  });

  test('gives the doctor nothing to report', async () => {
    const { stdout } = await stack.agentCli('doctor', 'drift', 'orphans', '--json');
    const { checks } = JSON.parse(stdout) as { checks: { problems: unknown[] }[] };
    assert.deepEqual(
      checks.map(({ problems }) => problems),
      [[], []],
    );
  });

  test('is replaced by the next version, and the old one is asked to end only then', async () => {
    const second = await project.deploy(app('two'));
    assert.equal(second.status, 'live', JSON.stringify(second.error));
    await runs(second);
    assert.match(await logOf(second), /=== finalize ===[\s\S]*app: one puts its job back/);
    assert.match(await appLog(), /two works/);
  });

  test('that exits too soon fails with its last line, and the old version keeps running', async () => {
    const [before] = await containers();
    const failed = await project.deploy(CRASHING);
    assert.equal(failed.error?.code, 'ORK_APP_EXITED', JSON.stringify(failed.error));
    assert.match(failed.error.message, /exited with code 3/);
    assert.ok(failed.error.evidence.includes('app: no queue at all'));
    assert.deepEqual(
      (await containers()).map(({ Id }) => Id),
      [before?.Id],
    );
  });

  test('is rolled back to an image that is still there', async () => {
    const asked = await stack.client.post(`${apiPath('deployments', first.id)}/rollback`, {}, Deployment);
    const back = await stack.waitForDeployment(asked.id);
    assert.equal(back.status, 'live', JSON.stringify(back.error));
    assert.equal(back.steps.find(({ name }) => name === 'build')?.status, 'skipped');
    await runs(back);
    assert.match(await appLog(), /one works/);
  });

  test('whose container is removed is made again', async () => {
    const [lost] = await containers();
    await stack.engine.removeContainer(lost?.Id ?? '');
    await until(async () => {
      const [made] = await containers();
      return made !== undefined && made.Id !== lost?.Id && made.State === 'running';
    });
    assert.deepEqual((await containers())[0]?.Names, lost?.Names);
  });

  test('that must not run twice is stopped before its successor starts, and is back if that one fails', async () => {
    await stack.client.patch(environment, { settings: { cutover: 'hold' } }, Environment);
    const next = await project.deploy(app('three'));
    assert.equal(next.status, 'live', JSON.stringify(next.error));
    await runs(next);
    const failed = await project.deploy(CRASHING);
    assert.equal(failed.error?.code, 'ORK_APP_EXITED', JSON.stringify(failed.error));
    await runs(next);
  });

  test('becomes a web app, and that one a worker again', async () => {
    const set = (settings: object) => stack.client.patch(environment, { settings }, Environment);
    const server = "require('node:http').createServer((_, res) => res.end('web')).listen(process.env.PORT);";
    const { urls } = await set({ healthCheck: null });
    assert.equal(urls.length, 1);
    const web = await project.deploy({ 'work.js': server });
    assert.equal(web.status, 'live', JSON.stringify(web.error));
    assert.equal((await stack.get(new URL(urls[0] ?? '').hostname)).body, 'web');
    await set({ healthCheck: { kind: 'running', runSeconds: 1 }, domains: [] });
    const again = await project.deploy(app('four'));
    assert.equal(again.status, 'live', JSON.stringify(again.error));
    await runs(again);
  });
}
