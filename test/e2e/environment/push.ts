/** `git push` like a user: a deployment, a line with its URL, the newest push wins; and external repositories. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { Deployment, Project } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import type { Stack } from '../../harness/stack.ts';

const page = (text: string) => ({ 'index.html': `<!doctype html><title>${text}</title><p>${text}</p>` });

export function push(given: () => Stack): void {
  let stack: Stack;
  before(() => {
    stack = given();
  });

  test('a push prints the deployment and where to follow it', async () => {
    const project = await stack.createProject(page('first'), { slug: 'pushed' });
    const said = await project.tree.push({ url: project.remoteUrl, token: stack.token }, 'main');
    const [deployment] = await stack.deployments('pushed');
    assert.ok(deployment, 'the push made a deployment');
    assert.match(said, /remote: .*pushed\/production/);
    assert.ok(said.includes(deployment.id), said);
    assert.ok(said.includes(deployment.consoleUrl), said);
    await stack.goesLive(deployment.id);
  });

  test('a push of a branch without an environment makes no deployment, and says which branches have one', async () => {
    const project = await stack.createProject(page('first'), { slug: 'unmapped' });
    const said = await project.tree.push({ url: project.remoteUrl, token: stack.token }, 'feature');
    assert.deepEqual(await stack.deployments('unmapped'), []);
    assert.match(said, /remote: .*main/);
  });

  test('while a deployment runs, only the newest waiting push is kept, and those between are skipped', async () => {
    const project = await stack.createProject(page('0'), { slug: 'busy' });
    const running = await project.push();
    const waiting = [];
    for (const text of ['1', '2', '3']) {
      project.tree.write(page(text));
      await project.tree.commit(text);
      waiting.push(await project.push());
    }
    const manual = await project.redeploy();
    const [one, two, three] = await Promise.all(waiting.map(({ id }) => stack.waitForDeployment(id)));
    assert.ok(one && two && three);
    assert.equal((await stack.waitForDeployment(running.id)).error, null);
    // The first push may have ended before the second arrived; what matters: no newer one was skipped for an older.
    assert.equal(two.status, 'skipped');
    assert.equal(two.replacedBy, three.id);
    assert.equal(three.error, null);
    assert.equal((await stack.waitForDeployment(manual.id)).status, 'live', 'a deployment by hand is never dropped');
    assert.match((await project.get()).body, /<p>3<\/p>/);
  });

  test('a repository elsewhere needs a token that may read it, and no log shows the token', async () => {
    const source = await stack.createProject(page('elsewhere'), { slug: 'source' });
    await source.deploy();
    const deploy = async (slug: string, token: string): Promise<Deployment> => {
      const repository = { url: source.remoteUrl, auth: { token } };
      await stack.client.post('/projects', { slug, repository }, Project);
      return stack.client.post(
        `${apiPath('projects', slug, 'environments', 'production')}/deployments`,
        {},
        Deployment,
      );
    };
    await assert.rejects(deploy('no-access', 'wrong'), { code: 'ORK_REPO_ACCESS' });
    const deployment = await stack.goesLive((await deploy('access', stack.token)).id);
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${deployment.id}/logs` });
    assert.ok(!(await log.body.text()).includes(stack.token), 'the token is not in the log');
  });
}
