/** `orkestr` as a process against a real hub; the test acts as the agent. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Deployment } from '../../hub/api/schemas.ts';
import { makeCliHome } from '../../hub/cli/test-cli.ts';
import type { CliHome, CliResult } from '../../hub/cli/test-cli.ts';
import { HOST_STATUS, read, seedHub } from './console/seed.ts';
import type { JobPlayer, SeededHub } from './console/seed.ts';

let hub: SeededHub;
let home: CliHome;

before(async () => {
  hub = await seedHub();
  home = makeCliHome();
  const login = await home.run(['login', hub.url, '--token', '-'], { stdin: hub.token });
  assert.equal(login.code, 0, login.stderr);
});
after(async () => {
  home?.remove();
  await hub?.stop();
});

const json = (result: CliResult) => JSON.parse(result.stdout);
const ids = (jobs: JobPlayer[]): string[] => jobs.map(({ id }) => id);

test('the CLI takes a project from its creation over two deployments and a rollback to its deletion', async () => {
  const created = await home.run(['project', 'create', 'shop', '--port', '3000', '--json']);
  assert.equal(created.code, 0, created.stdout);
  const project = json(created);
  assert.equal(project.gitRemote, `${hub.url}/git/shop.git`);
  const place = ['--project', 'shop'];

  const variables = await home.run(['env', 'set', 'GREETING=hello', 'SECRET=-', ...place, '--json'], {
    stdin: 's3cret',
  });
  assert.deepEqual(
    json(variables).variables.map(({ name }: { name: string }) => name),
    ['GREETING', 'SECRET'],
  );
  const changed = await home.run(['environment', 'set', '--memory', '256', '--health-path', '/up', ...place, '--json']);
  assert.equal(json(changed).settings.limits.memoryMiB, 256);
  const reset = await home.run(['environment', 'set', '--setting', 'port=null', ...place, '--json']);
  assert.equal(json(reset).settings.port, undefined);
  assert.equal(json(reset).settings.healthCheck.path, '/up');
  const wrong = await home.run(['environment', 'set', '--setting', 'limits.memory=1', ...place, '--json']);
  assert.deepEqual([wrong.code, json(wrong).code], [2, 'ORK_INVALID']);

  // A push deploys; `logs --follow` follows it to its end.
  const first = await hub.push(project, 'First version');
  assert.deepEqual([first.job.env.GREETING, first.job.env.SECRET], ['hello', 's3cret']);
  const following = home.run(['logs', '--follow', ...place]);
  await first.build('First version', ['compiling\n']);
  await first.goLive();
  const followed = await following;
  assert.equal(followed.code, 0, followed.stderr);
  assert.match(followed.stdout, /^compiling$/m);

  // `deploy` starts a deployment and shows it live, up to the URL.
  const deploying = home.run(['deploy', ...place]);
  const second = await hub.nextJob();
  await second.build('First version', ['1%\r100%\n']);
  await second.goLive();
  const deployed = await deploying;
  assert.equal(deployed.code, 0, deployed.stderr);
  assert.match(deployed.stdout, /✓ build +12\.3 s +84\.2 MiB/);
  assert.match(deployed.stdout, /│ 100%/);
  assert.match(deployed.stdout, /Live after .*\n {2}http:\/\/shop\.localhost:8080/);

  // Back to the first release, which is not named.
  const back = await home.run(['rollback', '--detach', '--json', ...place]);
  assert.deepEqual([back.code, json(back).releaseOf], [0, first.id]);
  const third = await hub.nextJob();
  assert.equal(third.job.kind, 'rollback');
  const error = {
    code: 'ORK_APP_EXITED' as const,
    message: 'The app exited with code 3.',
    evidence: ['exit code 3'],
  };
  await third.run();
  await third.begin('deploy');
  const failing = home.run(['logs', third.id, '--follow']);
  await third.fail('deploy', 700, error);
  assert.equal((await failing).code, 1);

  const list = await home.run(['deployments', 'list', '--json', ...place]);
  assert.deepEqual(
    json(list).deployments.map(({ id }: Deployment) => id),
    ids([third, second, first]),
  );
  const shown = await home.run(['deployments', 'show', third.id]);
  assert.match(shown.stdout, /ORK_APP_EXITED {2}The app exited with code 3\.\n {2}│ exit code 3/);
  const log = await home.run(['logs', first.id, '--step', 'build']);
  assert.equal(log.stdout, 'compiling\n');

  const gone = await home.run(['project', 'delete', 'shop', '--yes']);
  assert.equal(gone.code, 0, gone.stderr);
  assert.equal((await hub.agent.job()).kind, 'remove');
  assert.deepEqual(json(await home.run(['project', 'list', '--json'])), { projects: [] });
});

test('a cancel reaches the agent, and `deploy` exits with 3', async () => {
  const project = await hub.createProject('cancelled');
  const first = await hub.push(project, 'First');
  await first.build('First', []);
  await first.goLive();
  const deploying = home.run(['deploy', '--project', 'cancelled']);
  const job = await hub.nextJob();
  await job.run();
  const cancel = await home.run(['cancel', '--project', 'cancelled', '--json']);
  assert.equal(cancel.code, 0, cancel.stdout);
  assert.equal((await hub.agent.next('cancel')).deploymentId, job.id);
  await job.cancelled();
  assert.equal((await deploying).code, 3);
  assert.equal((await read(hub, Deployment, 'deployments', job.id)).status, 'cancelled');
});

test('a deployment of a project without a commit is refused with what to do', async () => {
  await hub.createProject('empty');
  const result = await home.run(['deploy', '--project', 'empty', '--json']);
  assert.equal(result.code, 1);
  assert.match(json(result).code, /^ORK_(REPO_EMPTY|BRANCH_UNKNOWN)$/);
});

test('tokens can be made, used and revoked; hosts are listed and added', async () => {
  const made = await home.run(['tokens', 'create', 'reader', '--scope', 'read']);
  const env = { ORKESTR_TOKEN: made.stdout.trim() };
  assert.equal(json(await home.run(['whoami', '--json'], { env })).scopes.join(), 'read');
  const refused = await home.run(['project', 'create', 'nope', '--json'], { env });
  assert.deepEqual([refused.code, json(refused).code], [1, 'ORK_FORBIDDEN']);
  assert.equal((await home.run(['tokens', 'revoke', 'reader'])).code, 0);
  assert.equal(json(await home.run(['whoami', '--json'], { env })).code, 'ORK_UNAUTHENTICATED');

  hub.agent.say({ type: 'status', status: HOST_STATUS });
  const added = await home.run(['hosts', 'add', 'vps-2']);
  assert.match(
    added.stdout,
    new RegExp(`curl -fsSL ${hub.url}/install.sh \\| sudo sh -s -- --hub ${hub.url} --token \\S+`),
  );
  assert.equal((await home.run(['hosts', 'join-token', 'vps-2'])).code, 0);
  assert.equal((await home.run(['hosts', 'remove', 'vps-2', '--yes'])).code, 0);
  assert.match((await home.run(['hosts', 'list'])).stdout, /vps-1 +online +just now +\S+ +yes +28\.2\.2 +up/);
});
