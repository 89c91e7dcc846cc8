/** What cannot work or must not be done is refused with a code before anything runs. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { Deployment, Project } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/cli/client.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

describe('bad input', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({
      env: { hub: { ORKESTR_ALLOW_HTTP_REPOSITORIES: '1', ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' } },
    });
  });
  after(() => stack.stop());

  const refuses = (promise: Promise<unknown>, ...codes: ErrorCode[]): Promise<void> =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof OrkestrError, String(error));
      assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
      return true;
    });
  const create = (body: unknown): Promise<Project> => stack.client.post('/projects', body, Project);
  const deploy = (slug: string, body: unknown = {}): Promise<Deployment> =>
    stack.client.post(`${apiPath('projects', slug, 'environments', 'production')}/deployments`, body, Deployment);

  for (const url of [
    'ext::sh -c touch% /tmp/pwned',
    '--upload-pack=touch /tmp/pwned',
    'file:///etc',
    '/etc',
    'ssh://-oProxyCommand=x/y',
    'https://user:secret@example.org/a.git',
    'https://example.org/a.git?x=$(id)',
    'git@example.org:a/b.git',
  ]) {
    test(`the repository URL ${url} is refused`, () =>
      refuses(create({ slug: 'hostile', repository: { url } }), 'ORK_INVALID', 'ORK_URL_REFUSED'));
  }

  for (const name of ['A B', 'A\nB', '=B', '1A', 'A-B', '']) {
    test(`the variable name ${JSON.stringify(name)} is refused`, async () => {
      await stack.createProject({ 'index.html': 'x' }, { slug: 'names' }).catch((error: unknown) => {
        if (!(error instanceof OrkestrError && error.code === 'ORK_CONFLICT')) throw error;
      });
      const path = `${apiPath('projects', 'names', 'environments', 'production')}/variables`;
      await refuses(stack.client.open({ method: 'PATCH', path, body: { variables: { [name]: 'x' } } }), 'ORK_INVALID');
    });
  }

  for (const branch of ['--upload-pack=x', '../x', 'a..b', '-b', 'a b', 'x.lock', 'a\nb']) {
    test(`the branch ${JSON.stringify(branch)} is refused`, () =>
      refuses(
        create({ slug: 'branches', environment: { slug: 'production', branch } }),
        'ORK_INVALID',
        'ORK_REF_REFUSED',
      ));
  }

  test('a deployment of an empty repository is refused', async () => {
    await create({ slug: 'empty' });
    await refuses(deploy('empty'), 'ORK_REPO_EMPTY', 'ORK_BRANCH_UNKNOWN');
  });

  test('a deployment of a branch that does not exist is refused', async () => {
    const project = await stack.createProject({ 'index.html': 'x' }, { slug: 'branchless', branch: 'main' });
    await project.tree.push({ url: project.remoteUrl, token: stack.token }, 'other');
    await refuses(deploy('branchless'), 'ORK_BRANCH_UNKNOWN');
  });

  test('a repository that the given token may not read is refused, and one it may read deploys', async () => {
    const source = await stack.createProject('node-plain', { slug: 'source' });
    assert.equal((await source.deploy()).status, 'live');
    await create({ slug: 'no-access', repository: { url: source.remoteUrl, auth: { token: 'wrong' } } });
    await refuses(deploy('no-access'), 'ORK_REPO_ACCESS');
    await create({ slug: 'access', repository: { url: source.remoteUrl, auth: { token: stack.token } } });
    const deployment = await stack.waitForDeployment((await deploy('access')).id);
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${deployment.id}/logs` });
    assert.ok(!(await log.body.text()).includes(stack.token), 'the token is not in the log');
  });

  test('a repository on a server that does not answer is refused as unreachable', async () => {
    await create({ slug: 'nobody', repository: { url: 'http://127.0.0.1:9/a/b.git' } });
    await refuses(deploy('nobody'), 'ORK_REPO_UNREACHABLE');
  });
});
