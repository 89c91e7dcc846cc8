import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { hub } from '../test-hub.ts';
import { COMMIT } from '../test-release.ts';
import type { TestHub } from '../test-hub.ts';
import { deployMissed, deployPush } from './push.ts';
import { deployments } from './test-git.ts';

const UPDATES = [{ reference: 'refs/heads/main', commit: COMMIT }];

/** A hub with three environments of one branch, and a push during which `inTheWay` obstructs the second one. */
async function pushed(t: TestContext, inTheWay: (on: TestHub, environmentId: string) => Promise<void>) {
  const on = await hub(t);
  const second = await on.addEnvironment('second', 'main');
  const third = await on.addEnvironment('third', 'main');
  const { scheduler } = on.deps;
  const deps = {
    ...on.deps,
    links: on.deps.agents,
    scheduler: {
      create: async (request: Parameters<typeof scheduler.create>[0]) => {
        if (request.environmentId === second) await inTheWay(on, second);
        return scheduler.create(request);
      },
    },
    repositories: { hasAt: () => Promise.resolve(true) },
  };
  const push = { projectId: on.projectId, userId: on.account.userId };
  const made = async () => (await deployments(on)).map((deployment) => deployment.environment_id).toSorted();
  return { on, deps, push, second, third, made };
}

test('a push reports an environment that is deleted meanwhile, and deploys to the others', async (t) => {
  const { on, deps, push, third, made } = await pushed(t, ({ deps: { scheduler } }, id) =>
    scheduler.removeEnvironment(id),
  );
  const lines = await deployPush(deps, push, UPDATES);
  assert.deepEqual(await made(), [on.environmentId, third].toSorted());
  assert.ok(lines.includes('orkestr: second has been deleted meanwhile'), lines.join('\n'));
  assert.match(lines.join('\n'), /of shop\/production queued[^]* of shop\/third queued/);
});

test('a failure for one environment is reported with its name, and the others are deployed', async (t) => {
  const { on, deps, push, third, made } = await pushed(t, () =>
    Promise.reject(new OrkestrError('ORK_HUB_BUSY', 'The database is held.')),
  );
  const lines = await deployPush(deps, push, UPDATES);
  assert.deepEqual(await made(), [on.environmentId, third].toSorted());
  assert.match(
    lines.join('\n'),
    /but it could not be deployed to second: The database is held\.\nonce that is fixed, run: orkestr deploy --environment second/,
  );
});

test('a push of only tags names the branches that would deploy, and a branch beside a tag is deployed', async (t) => {
  const { deps, push, made } = await pushed(t, () => Promise.resolve());
  const tag = { reference: 'refs/tags/v1', commit: COMMIT };
  const lines = await deployPush(deps, push, [tag]);
  assert.match(lines.join('\n'), /tags deploy nothing; push a branch\n[^]*second deploys main/);
  assert.deepEqual(await made(), []);
  assert.deepEqual(await deployPush(deps, push, [{ ...tag, commit: null }]), []);
  assert.doesNotMatch((await deployPush(deps, push, [tag, ...UPDATES])).join('\n'), /tags/);
});

test('a missed push is retried until each environment has one deployment, and none gets two', async (t) => {
  let failing = true;
  const { on, deps, push, second, third, made } = await pushed(t, () =>
    failing ? Promise.reject(new OrkestrError('ORK_HUB_BUSY', 'The database is held.')) : Promise.resolve(),
  );
  await assert.rejects(deployMissed(deps, push, UPDATES), { code: 'ORK_HUB_BUSY' });
  failing = false;
  await deployMissed(deps, push, UPDATES);
  assert.deepEqual(await made(), [on.environmentId, second, third].toSorted());
});
