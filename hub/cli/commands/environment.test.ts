import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Environment } from '../../api/schemas.ts';
import { ENVIRONMENT, IDS, SHOP, environment } from '../test-answers.ts';
import { away, refuse, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('environment set sends only the changes', async () => {
  const args = ['environment', 'set', 'staging', '--memory', '256', '--setting', 'port=null', ...SHOP];
  const result = await run(args, { 'PATCH /projects/shop/environments/staging': () => environment });
  assert.equal(result.code, 0);
  assert.deepEqual(cli.hub?.asked[0]?.body, { settings: { limits: { memoryMiB: 256 }, port: null } });
  assert.equal((await cli.home.run(['environment', 'set', ...SHOP])).code, 2);
});

test('environment set --add-domain keeps the existing domains; --domain replaces them', async () => {
  const there = [
    { host: 'shop.localhost', pathPrefix: '/' },
    { host: 'example.com', pathPrefix: '/shop' },
  ];
  const routes = {
    [`GET ${ENVIRONMENT}`]: () => ({ ...environment, settings: { ...environment.settings, domains: there } }),
    [`PATCH ${ENVIRONMENT}`]: () => environment,
  };
  const sent = () => cli.hub?.asked.at(-1)?.body;
  const set = (...args: string[]) => run(['environment', 'set', ...args, ...SHOP], routes);
  assert.equal((await set('--add-domain', 'a.example.com', '--add-domain', 'b.example.com', '--memory', '64')).code, 0);
  const domains = [...there, { host: 'a.example.com' }, { host: 'b.example.com' }];
  assert.deepEqual(sent(), { settings: { limits: { memoryMiB: 64 }, domains } });
  await set('--add-domain', 'example.com/shop', '--strip-prefix');
  const stripped = { host: 'example.com', pathPrefix: '/shop', stripPrefix: true };
  assert.deepEqual(sent(), { settings: { domains: [there[0], stripped] } });
  await set('--domain', 'a.example.com');
  assert.deepEqual(sent(), { settings: { domains: [{ host: 'a.example.com' }] } });
  const both = await cli.home.run([
    'environment',
    'set',
    '--add-domain',
    'a.example.com',
    '--setting',
    'domains=null',
    ...SHOP,
  ]);
  assert.equal(both.code, 2);
});

test('environment create --worker makes an environment without a domain, and says so', async () => {
  const worker: Environment = { ...environment, slug: 'worker', urls: [] };
  const args = ['environment', 'create', 'worker', '--worker', '--start', 'bundle exec sidekiq', ...SHOP];
  const result = await run(args, { 'POST /projects/shop/environments': () => worker });
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, {
    slug: 'worker',
    settings: { startCommand: 'bundle exec sidekiq', healthCheck: { kind: 'running' }, domains: [] },
  });
  assert.match(result.stdout, /^urls +no domain: a worker$/m);
  const both = await cli.home.run(['environment', 'set', '--worker', '--add-domain', 'a.example.com', ...SHOP]);
  assert.equal(both.code, 2);
});

test('environment set says what is active, what needs a deployment, and why the host has not applied edge settings', async () => {
  const live = { ...environment, liveDeploymentId: IDS.deployment };
  const state = (edge: Environment['edge']): Environment => ({ ...live, edge });
  const answers = [state({ state: 'sent', error: null }), state({ state: 'active', error: null })];
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}`]: () => answers[0],
    [`GET ${ENVIRONMENT}`]: () => answers[1],
  };
  const set = (...settings: string[]) => [
    'environment',
    'set',
    ...settings.flatMap((one) => ['--setting', one]),
    ...SHOP,
  ];
  const both = await run(set('edge.maintenance=true', 'limits.memoryMiB=64', 'edge.appProtocol=h2c'), routes);
  assert.match(both.stdout, /^Domains and edge settings: Active on the host\.$/m);
  assert.match(both.stdout, /^edge\.appProtocol, limits: active at the next deployment.*--again$/m);
  const other = await run(set('edge.appProtocol=h2c'), routes);
  assert.doesNotMatch(other.stdout, /^Domains and edge/m);
  const error = { code: 'ORK_ROUTE_TAKEN' as const, message: 'Somebody has it.', evidence: [] };
  answers[0] = state({ state: 'failed', error });
  const failed = await run(set('edge.maintenance=true'), routes);
  assert.match(failed.stdout, /^Domains and edge settings: Not active: .*ORK_ROUTE_TAKEN: Somebody has it\.$/m);
  assert.doesNotMatch(failed.stdout, /next deployment/);
  answers[0] = state({ state: 'offline', error: null });
  assert.match((await run(set('domains=[]'), routes)).stdout, /settings: The host is not connected: active as soon/);
});

test('environment set names the settings that need a build, and suggests deploy --again for the others only', async () => {
  const routes = { [`PATCH ${ENVIRONMENT}`]: () => environment };
  const told = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await run(['environment', 'set', ...args, ...SHOP], routes);
    return stdout.split('\n').filter((line) => line.includes('active'));
  };
  const built = ['--root', 'apps/web', '--branch', 'next', '--start', 'node x', '--setting', 'buildHosts=null'];
  assert.deepEqual(await told(...built, '--memory', '64'), [
    'branch, rootDirectory, startCommand, buildHosts: active with the next build: orkestr deploy',
    'limits: active at the next deployment, orkestr deploy, or without a build: orkestr deploy --again',
  ]);
});

test('a stored change is still reported as stored when the hub does not answer the status check after it', async () => {
  const state = (name: 'sent' | 'active'): Environment => ({ ...environment, edge: { state: name, error: null } });
  const looks: Script[] = [away, () => state('active')];
  const set = await run(['environment', 'set', '--setting', 'edge.maintenance=true', ...SHOP], {
    [`PATCH ${ENVIRONMENT}`]: () => state('sent'),
    [`GET ${ENVIRONMENT}`]: (asked, response) => looks.shift()?.(asked, response),
  });
  assert.equal(set.code, 0, set.stderr);
  assert.match(set.stdout, /^Domains and edge settings: Active on the host\.$/m);
});

test('a stored change is still reported as stored for a token without the read scope', async () => {
  const sent: Environment = { ...environment, edge: { state: 'sent', error: null } };
  const set = await run(['environment', 'set', '--setting', 'edge.maintenance=true', ...SHOP], {
    [`PATCH ${ENVIRONMENT}`]: () => sent,
    [`GET ${ENVIRONMENT}`]: refuse('ORK_FORBIDDEN', 'This needs the scope "read", which the token does not have.'),
  });
  assert.equal(set.code, 0, set.stderr);
  assert.match(set.stdout, /^Domains and edge settings: Sent to the host; waiting for its answer\.$/m);
  assert.equal(cli.hub?.asked.length, 2, 'It is not asked again and again.');
});

test('access add and remove send only that user, with the password from stdin; list shows names', async () => {
  const users: Environment = {
    ...environment,
    settings: { ...environment.settings, edge: { ...environment.settings.edge, basicAuth: [{ user: 'grace' }] } },
  };
  const routes: Record<string, Script> = {
    'GET /projects/shop/environments/preview': () => users,
    'PATCH /projects/shop/environments/preview/access': () => users,
  };
  const preview = ['-e', 'preview', ...SHOP];
  const password = 'correct horse battery';
  const added = await run(['access', 'add', 'ada', ...preview], routes, { stdin: `${password}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.ok(!added.stdout.includes(password));
  assert.deepEqual(
    cli.hub?.asked.map(({ body }) => body),
    [{ users: { ada: password } }],
  );
  await run(['access', 'remove', 'grace', ...preview], routes);
  assert.deepEqual(cli.hub?.asked[0]?.body, { users: { grace: null } });
  assert.equal((await run(['access', 'list', ...preview], routes)).stdout, 'grace\n');
});
