import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  IDS,
  TOKEN,
  eventStream,
  logEvent,
  makeCliHome,
  refuse,
  sampleDeployment,
  startScriptedHub,
  statusEvent,
  stepEvent,
  stream,
} from './test-cli.ts';
import type { CliHome, CliOptions, CliResult, Script, ScriptedHub } from './test-cli.ts';
import type { DeploymentEvent, Environment, Project } from '../api/schemas.ts';
import { Settings } from '../../protocol/job.ts';

let home: CliHome;
let hub: ScriptedHub | undefined;
beforeEach(() => (home = makeCliHome()));
afterEach(async () => {
  home.remove();
  const stopping = hub;
  hub = undefined;
  await stopping?.stop();
});

/** A command of somebody who is logged in to a hub that answers as scripted. */
async function run(args: string[], routes: Record<string, Script>, options: CliOptions = {}): Promise<CliResult> {
  hub = await startScriptedHub(routes);
  return home.run(args, { ...options, env: { ORKESTR_URL: hub.url, ORKESTR_TOKEN: TOKEN, ...options.env } });
}

const AT = '2030-01-01T00:00:00.000Z';
const me = {
  user: { id: IDS.project, email: 'ada@example.com', name: 'Ada' },
  team: { id: IDS.host, slug: 'team', name: 'Team', plan: 'pro' },
  scopes: ['read', 'deploy'],
};
const environment: Environment = {
  id: IDS.environment,
  slug: 'production',
  branch: 'main',
  hostId: IDS.host,
  settings: Settings.parse({}),
  urls: ['http://shop.localhost:8080/'],
  liveDeploymentId: null,
  latestDeployment: null,
  createdAt: AT,
};
const project: Project = {
  id: IDS.project,
  slug: 'shop',
  origin: 'hub',
  repositoryUrl: null,
  gitRemote: 'http://hub.invalid/git/shop.git',
  environments: [environment],
  createdAt: AT,
};
const ENVIRONMENT = '/projects/shop/environments/production';
const DEPLOYMENTS = `${ENVIRONMENT}/deployments`;
const EVENTS = `GET /deployments/${IDS.deployment}/events`;
const SHOP = ['--project', 'shop'];

// Session

test('login checks the token with the hub and keeps it in a file that only its owner can read', async () => {
  hub = await startScriptedHub({ 'GET /me': () => me });
  const result = await home.run(['login', hub.url, '--token', '-'], { stdin: `${TOKEN}\n` });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.match(result.stdout, /ada@example\.com/);
  assert.equal(hub.asked[0]?.headers.authorization, `Bearer ${TOKEN}`);
  const file = join(home.folder, 'orkestr', 'config.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { url: hub.url, token: TOKEN });
  assert.ok(!result.stdout.includes(TOKEN), 'the token must not be shown');

  const who = await home.run(['whoami', '--json']);
  assert.equal(JSON.parse(who.stdout).user.email, 'ada@example.com');
  assert.equal((await home.run(['logout'])).code, 0);
  assert.equal(existsSync(file), false);
});

test('login without --token reads it from stdin; an address without https:// is told how to be written', async () => {
  hub = await startScriptedHub({ 'GET /me': () => me });
  const result = await home.run(['login', hub.url], { stdin: `${TOKEN}\n` });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.equal(hub.asked[0]?.headers.authorization, `Bearer ${TOKEN}`);
  const short = await home.run(['login', 'hub.example.com'], { stdin: TOKEN });
  assert.equal(short.code, 2);
  assert.match(short.stderr, /write it in full: https:\/\/hub\.example\.com$/m);
});

test('login with a token that the hub refuses keeps nothing', async () => {
  hub = await startScriptedHub({ 'GET /me': refuse('ORK_UNAUTHENTICATED', 'The token is unknown.') });
  const result = await home.run(['login', hub.url, '--token', TOKEN]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /The token is unknown\.\nLog in, or send a valid API token\..* \(ORK_UNAUTHENTICATED\)/);
  assert.ok(!(result.stdout + result.stderr).includes(TOKEN), 'the token must not be shown');
  assert.equal(existsSync(join(home.folder, 'orkestr')), false);
});

test('without a login every command says how to log in', async () => {
  const result = await home.run(['project', 'list']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /orkestr login http:\/\/127\.0\.0\.1:7700$/m);
});

// Errors and usage

test('wrong usage exits 2 and says what is wrong; with --json as a problem on stdout', async () => {
  for (const args of [['deploy', '--foo'], ['env', 'set'], []]) {
    const plain = await home.run(args);
    assert.equal(plain.code, 2, args.join(' '));
    assert.equal(plain.stdout, '');
    assert.match(plain.stderr, /ORK_INVALID/);
    const json = await home.run([...args, '--json']);
    assert.equal(json.code, 2);
    assert.equal(json.stderr, '');
    assert.equal(JSON.parse(json.stdout).code, 'ORK_INVALID');
  }
});

test('a group without a command names those that it has', async () => {
  const { stderr } = await home.run(['project']);
  assert.match(stderr, /A command is missing behind "orkestr project"[^\n]*\n {2}│ create, list, show, delete$/m);
});

test('a hub that does not answer exits 4', async () => {
  hub = await startScriptedHub({});
  const { url } = hub;
  await hub.stop();
  hub = undefined;
  const result = await home.run(['project', 'list', '--json'], { env: { ORKESTR_URL: url, ORKESTR_TOKEN: TOKEN } });
  assert.equal(result.code, 4);
  assert.equal(JSON.parse(result.stdout).code, 'ORK_HUB_UNREACHABLE');
});

test('what answers but is no hub is told apart from a hub that is down', async () => {
  const page =
    (status: number): Script =>
    (_asked, response) =>
      void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Hello</h1>');
  assert.equal((await run(['project', 'list', '--json'], { 'GET /projects': page(502) })).code, 4);
  await hub?.stop();
  const result = await run(['project', 'list', '--json'], { 'GET /projects': page(200) });
  assert.deepEqual([result.code, JSON.parse(result.stdout).code], [1, 'ORK_PROTOCOL']);
});

// Projects, environments, variables

test('project create prints the remote and the next commands; its body holds only what was given', async () => {
  const result = await run(['project', 'create', 'shop', '--domain', 'shop.example.com', '--port', '3000'], {
    'POST /projects': () => project,
  });
  assert.equal(result.code, 0);
  assert.match(result.stdout, /git remote add orkestr http:\/\/hub\.invalid\/git\/shop\.git/);
  assert.match(result.stdout, /git push orkestr HEAD:main/);
  assert.match(result.stdout, /any user name, and an API token/);
  assert.deepEqual(hub?.asked[0]?.body, {
    slug: 'shop',
    environment: { slug: 'production', settings: { port: 3000, domains: [{ host: 'shop.example.com' }] } },
  });
});

test('the token of an external repository comes from stdin and stands in no output', async () => {
  const url = 'https://git.example.com/team/shop.git';
  const external: Project = { ...project, origin: 'external', repositoryUrl: url, gitRemote: null };
  const args = ['project', 'create', 'shop', '--repository', url, '--repository-token-stdin'];
  const result = await run(args, { 'POST /projects': () => external }, { stdin: 'repo-secret\n' });
  assert.equal(result.code, 0);
  const body = hub?.asked[0]?.body as { repository: unknown };
  assert.deepEqual(body.repository, { url, auth: { token: 'repo-secret' } });
  assert.ok(!result.stdout.includes('repo-secret'));
  assert.match(result.stdout, /orkestr deploy --project shop/);
});

test('project list is an aligned table; with --json one object', async () => {
  const routes = { 'GET /projects': () => [project] };
  const plain = await run(['project', 'list'], routes);
  assert.equal(
    plain.stdout,
    'PROJECT  ENVIRONMENT  BRANCH  SERVES       URL\nshop     production   main    nothing yet  http://shop.localhost:8080/\n',
  );
  await hub?.stop();
  const json = await run(['project', 'list', '--json'], routes);
  assert.deepEqual(JSON.parse(json.stdout), { projects: [project] });
});

test('a host is named by its name, too', async () => {
  const routes: Record<string, Script> = { 'GET /hosts': () => [host], 'POST /projects': () => project };
  await run(['project', 'create', 'shop', '--host', host.name], routes);
  assert.partialDeepStrictEqual(hub?.asked[1]?.body, { environment: { hostId: IDS.host } });
  await hub?.stop();
  const environments = { ...routes, 'POST /projects/shop/environments': () => environment };
  await run(['environment', 'create', 'staging', '--host', host.name, ...SHOP], environments);
  assert.partialDeepStrictEqual(hub?.asked[1]?.body, { hostId: IDS.host });
  await hub?.stop();
  assert.match((await run(['project', 'create', 'shop', '--host', 'nobody'], routes)).stderr, /no host nobody/);
});

test('deleting needs --yes, and asks the hub nothing without it', async () => {
  assert.equal((await run(['project', 'delete', 'shop'], {})).code, 2);
  await hub?.stop();
  const gone: Script = (_asked, response) => void response.writeHead(204).end();
  const result = await run(['project', 'delete', 'shop', '--yes', '--json'], { 'DELETE /projects/shop': gone });
  assert.deepEqual([result.code, JSON.parse(result.stdout)], [0, { deleted: 'shop' }]);
});

test("the project comes from the folder's git remote orkestr, when that leads to this hub", async () => {
  hub = await startScriptedHub({ [`GET ${ENVIRONMENT}/variables`]: () => [{ name: 'A', updatedAt: AT }] });
  const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: home.folder, stdio: 'pipe' });
  const env = { ORKESTR_URL: hub.url, ORKESTR_TOKEN: TOKEN };
  git('init', '--quiet');
  assert.match((await home.run(['env', 'list'], { env })).stderr, /Name it with --project/);
  git('remote', 'add', 'orkestr', 'https://user:pass@elsewhere.example.com/git/shop.git');
  const elsewhere = await home.run(['env', 'list'], { env });
  assert.equal(elsewhere.code, 2);
  assert.ok(!elsewhere.stderr.includes('pass@'), 'a password in a remote must not be shown');
  git('remote', 'set-url', 'orkestr', `${hub.url}/git/shop.git`);
  const found = await home.run(['env', 'list', '--json'], { env });
  assert.deepEqual(JSON.parse(found.stdout), { variables: [{ kind: 'app', name: 'A', updatedAt: AT }] });
});

test('env set sends the values, one of them from stdin, and says when they become active', async () => {
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}/variables`]: () => [
      { kind: 'app', name: 'A', updatedAt: AT },
      { kind: 'app', name: 'URL', updatedAt: AT },
    ],
  };
  const result = await run(['env', 'set', 'A=x=y', 'URL=-', ...SHOP], routes, { stdin: 'postgres://secret\n' });
  assert.equal(result.code, 0);
  assert.deepEqual(hub?.asked[0]?.body, { kind: 'app', variables: { A: 'x=y', URL: 'postgres://secret' } });
  assert.match(result.stdout, /2 variables changed; active at the next deployment/);
  assert.ok(!result.stdout.includes('postgres://secret'));
  await hub?.stop();
  await run(['env', 'unset', 'A', ...SHOP], routes);
  assert.deepEqual(hub?.asked[0]?.body, { kind: 'app', variables: { A: null } });
});

test('env set --build sets build secrets, and the list tells which is which', async () => {
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}/variables`]: () => [
      { kind: 'app', name: 'A', updatedAt: AT },
      { kind: 'build', name: 'NPM_TOKEN', updatedAt: AT },
    ],
  };
  const result = await run(['env', 'set', '--build', 'NPM_TOKEN=-', ...SHOP], routes, { stdin: 'npm_secret\n' });
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(hub?.asked[0]?.body, { kind: 'build', variables: { NPM_TOKEN: 'npm_secret' } });
  assert.match(result.stdout, /^A +app /m);
  assert.match(result.stdout, /^NPM_TOKEN +build /m);
  assert.match(result.stdout, /1 build secret changed/);
  await hub?.stop();
  await run(['env', 'unset', 'NPM_TOKEN', '--build', ...SHOP], routes);
  assert.deepEqual(hub?.asked[0]?.body, { kind: 'build', variables: { NPM_TOKEN: null } });
});

test('registry add takes the password from stdin alone, remove and list show what is left without it', async () => {
  const entries = [{ host: 'registry.example.com:5000', username: 'ci', updatedAt: AT }];
  const path = '/projects/shop/registries';
  const add = ['registry', 'add', 'registry.example.com:5000', '--username', 'ci', '--project', 'shop'];
  const routes: Record<string, Script> = {
    [`PUT ${path}/registry.example.com%3A5000`]: () => entries,
    [`DELETE ${path}/ghcr.io`]: (_asked, response) => void response.writeHead(204).end(),
    [`GET ${path}`]: () => entries,
  };
  const added = await run(add, routes, { stdin: 'hunter2\n' });
  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual(hub?.asked[0]?.body, { username: 'ci', password: 'hunter2' });
  assert.ok(!added.stdout.includes('hunter2'));
  assert.match(added.stdout, /^registry\.example\.com:5000 +ci /m);
  await hub?.stop();
  const removed = await run(['registry', 'remove', 'ghcr.io', '--project', 'shop', '--json'], routes);
  assert.deepEqual(JSON.parse(removed.stdout), { registries: entries });
  await hub?.stop();
  assert.equal((await run(['registry', 'list', '--project', 'shop'], { [`GET ${path}`]: () => [] })).code, 0);
});

test('notify add takes a URL from stdin alone, shows the secret of a webhook, and says how to try it', async () => {
  const receiver = {
    name: 'pager',
    kind: 'webhook',
    everywhere: false,
    address: 'https://hooks.example.com/…',
    notices: ['deployment.failed', 'host.offline'],
    deliveries: [],
    createdAt: AT,
  };
  const path = '/projects/shop/receivers';
  const routes: Record<string, Script> = {
    [`POST ${path}`]: () => ({ ...receiver, secret: 'whsec_c2VjcmV0' }),
    'POST /receivers': () => ({ ...receiver, kind: 'email', everywhere: true, secret: null }),
  };
  const url = 'https://hooks.example.com/T0/secret-path';
  const on = ['--name', 'pager', '--on', 'deployment.failed', '--on', 'host.offline'];
  const added = await run(['notify', 'add', 'webhook', ...on, ...SHOP], routes, { stdin: `${url}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual(hub?.asked[0]?.body, {
    kind: 'webhook',
    address: url,
    name: 'pager',
    notices: ['deployment.failed', 'host.offline'],
  });
  assert.ok(!added.stdout.includes('secret-path'));
  assert.match(added.stdout, /shown this once:\n\n {2}whsec_c2VjcmV0\n\nTry it: orkestr notify test pager\n/);
  await hub?.stop();
  const mail = await run(['notify', 'add', 'email', 'ops@example.com', '--team', '--json'], routes);
  assert.deepEqual(hub?.asked[0]?.body, { kind: 'email', address: 'ops@example.com' });
  assert.equal(JSON.parse(mail.stdout).everywhere, true);
  await hub?.stop();
  for (const [args, told] of [
    [['slack', url], /A URL is a secret/],
    [['email'], /Whom to write to/],
    [['pigeon'], /no kind of receiver: webhook, slack, discord, email/],
  ] as const) {
    const refused = await run(['notify', 'add', ...args, ...SHOP], {});
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, told);
    await hub?.stop();
  }
});

test('notify list says what did not arrive and why, test what failed, remove what is gone', async () => {
  const error = { code: 'ORK_NOTIFY_ANSWER', message: 'hooks.example.com answered with HTTP 404.', evidence: [] };
  const delivery = {
    id: IDS.deployment,
    state: 'given-up',
    notices: [{ kind: 'deployment.failed', at: AT, summary: 'shop/production: the deployment failed' }],
    leftOut: 0,
    attempts: 30,
    error,
    createdAt: AT,
    nextTryAt: null,
    endedAt: AT,
  };
  const receiver = { name: 'slack', kind: 'slack', everywhere: true, address: 'https://hooks.example.com/…' };
  const path = '/projects/shop/receivers';
  const routes: Record<string, Script> = {
    [`GET ${path}`]: () => [{ ...receiver, notices: ['deployment.failed'], deliveries: [delivery], createdAt: AT }],
    'GET /receivers': () => [],
    [`POST ${path}/slack/test`]: refuse('ORK_NOTIFY_DNS', 'The name in hooks.example.com could not be looked up.'),
    'POST /receivers/slack/test': (_asked, response) => void response.writeHead(204).end(),
    [`DELETE ${path}/slack`]: (_asked, response) => void response.writeHead(204).end(),
  };
  const list = await run(['notify', 'list', ...SHOP], routes);
  assert.match(list.stdout, /^slack +slack +https:\/\/hooks\.example\.com\/… +team +given up .* deployment\.failed$/m);
  assert.match(list.stdout, /slack: given up: shop\/production: the deployment failed\. .* HTTP 404\.\nLook at what/);
  await hub?.stop();
  assert.match((await run(['notify', 'list', '--team'], routes)).stdout, /Nobody is told\. Add somebody: /);
  await hub?.stop();
  const failed = await run(['notify', 'test', 'slack', ...SHOP], routes);
  assert.deepEqual([failed.code, /could not be looked up/.test(failed.stderr)], [1, true]);
  await hub?.stop();
  assert.match((await run(['notify', 'test', 'slack', '--team'], routes)).stdout, /slack has taken a test\./);
  await hub?.stop();
  const removed = await run(['notify', 'remove', 'slack', ...SHOP, '--json'], routes);
  assert.deepEqual(JSON.parse(removed.stdout), { removed: 'slack' });
});

test('env set refuses what has no name, a wrong name, or two values from stdin, and repeats no value', async () => {
  for (const args of [['secretvalue'], ['1A=secretvalue'], ['A-B=secretvalue'], ['A=-', 'B=-'], ['=secretvalue']]) {
    const result = await run(['env', 'set', ...args, ...SHOP], {}, { stdin: 'x' });
    assert.equal(result.code, 2, args.join(' '));
    assert.ok(!result.stderr.includes('secretvalue'), result.stderr);
    await hub?.stop();
  }
});

test('environment set sends the changes alone', async () => {
  const args = ['environment', 'set', 'staging', '--memory', '256', '--setting', 'port=null', ...SHOP];
  const result = await run(args, { 'PATCH /projects/shop/environments/staging': () => environment });
  assert.equal(result.code, 0);
  assert.deepEqual(hub?.asked[0]?.body, { settings: { limits: { memoryMiB: 256 }, port: null } });
  assert.equal((await home.run(['environment', 'set', ...SHOP])).code, 2);
});

test('access add sends the user with the password of stdin, others keep theirs; list shows names alone', async () => {
  const users: Environment = {
    ...environment,
    settings: { ...environment.settings, edge: { ...environment.settings.edge, basicAuth: [{ user: 'grace' }] } },
  };
  const routes: Record<string, Script> = {
    'GET /projects/shop/environments/preview': () => users,
    'PATCH /projects/shop/environments/preview': () => users,
  };
  const preview = ['-e', 'preview', ...SHOP];
  const password = 'correct horse battery';
  const added = await run(['access', 'add', 'ada', ...preview], routes, { stdin: `${password}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.ok(!added.stdout.includes(password));
  const basicAuth = [{ user: 'grace' }, { user: 'ada', password }];
  assert.deepEqual(hub?.asked[1]?.body, { settings: { edge: { basicAuth } } });
  await hub.stop();
  await run(['access', 'remove', 'grace', ...preview], routes);
  assert.deepEqual(hub.asked[1]?.body, { settings: { edge: { basicAuth: [] } } });
  await hub.stop();
  assert.equal((await run(['access', 'remove', 'nobody', ...preview], routes)).code, 1);
  await hub.stop();
  assert.equal((await run(['access', 'list', ...preview], routes)).stdout, 'grace\n');
});

// Deployments

const clone = { commit: 'a'.repeat(40), subject: 'Add greeting', author: 'Ada', files: 3, bytes: 100 };
const liveEvents: DeploymentEvent[] = [
  statusEvent({}),
  stepEvent({ name: 'clone', status: 'running' }),
  stepEvent({ name: 'clone', status: 'done', ms: 412, output: clone }),
  stepEvent({ name: 'build', status: 'running' }),
  logEvent('build', 0, 'step 1\n10%\r50%'),
  logEvent('build', 14, '\r100%\nlast'),
  stepEvent({ name: 'build', status: 'done', ms: 12_345 }),
  statusEvent({ status: 'live', finishedAt: '2030-01-01T00:00:15.500Z' }),
  { kind: 'end', status: 'live' },
];

test('deploy streams steps with times and log lines, ends with the URL and exits 0 when live', async () => {
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment({ status: 'queued' }),
    [EVENTS]: stream(liveEvents),
  });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.deepEqual(result.stdout.split('\n').slice(2), [
    '▸ clone',
    '✓ clone          412 ms  aaaaaaa Add greeting',
    '▸ build',
    '  │ step 1',
    '  │ 100%',
    '  │ last',
    '✓ build          12.3 s',
    '',
    'Live after 15.5 s',
    '  http://shop.localhost:8080/',
    '',
  ]);
});

test('deploy --json gives one event per line and nothing else', async () => {
  const result = await run(['deploy', '--json', '--commit', 'a'.repeat(40), ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: stream(liveEvents),
  });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  const events = result.stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.deepEqual(events, JSON.parse(JSON.stringify(liveEvents)));
  assert.deepEqual(hub?.asked[0]?.body, { commit: 'a'.repeat(40) });
});

test('a failed deployment exits 1 with its code, its evidence and what to do', async () => {
  const error = {
    code: 'ORK_PORT_LOOPBACK' as const,
    message: 'The app listens on 127.0.0.1:3000 only.',
    evidence: ['127.0.0.1:3000'],
  };
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: stream([
      stepEvent({ name: 'health', status: 'failed', ms: 60_000, error }),
      statusEvent({ status: 'failed', error }),
      { kind: 'end', status: 'failed' },
    ]),
  });
  assert.equal(result.code, 1);
  assert.match(result.stdout, /✗ health/);
  assert.match(result.stdout, /What served before serves on/);
  assert.match(
    result.stdout,
    /ORK_PORT_LOOPBACK {2}The app listens on 127\.0\.0\.1:3000 only\.\n {2}│ 127\.0\.0\.1:3000/,
  );
  assert.match(result.stdout, /What to do: The app listens on loopback only\. Let it bind 0\.0\.0\.0\./);
});

for (const [status, code] of [
  ['cancelled', 3],
  ['skipped', 3],
  ['superseded', 0],
] as const) {
  test(`a deployment that ends as ${status} exits ${code}`, async () => {
    const result = await run(['deploy', ...SHOP], {
      [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
      [EVENTS]: stream([statusEvent({ status }), { kind: 'end', status }]),
    });
    assert.equal(result.code, code);
  });
}

test('a hub that goes away for a moment does not end deploy', async () => {
  let turn = 0;
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: ({ headers }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      turn += 1;
      if (turn === 1) response.write(eventStream(liveEvents.slice(0, 5)), () => response.destroy());
      else response.end(eventStream(liveEvents.slice(Number(headers['last-event-id'])), 6));
    },
  });
  assert.equal(result.code, 0);
  assert.equal(result.stderr.match(/Trying again/g)?.length, 1);
  assert.equal(result.stdout.match(/│ step 1/g)?.length, 1);
  assert.match(result.stdout, /│ 100%/);
});

test('Ctrl-C detaches: the deployment goes on, and the way back is told', async () => {
  const result = await run(
    ['deploy', ...SHOP],
    {
      [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
      [EVENTS]: (_asked, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .write(eventStream(liveEvents.slice(0, 5))),
    },
    { interruptAt: '│ step 1' },
  );
  assert.equal(result.code, 130);
  assert.match(result.stderr, new RegExp(`orkestr logs ${IDS.deployment} --follow`));
  assert.match(result.stderr, new RegExp(`orkestr cancel ${IDS.deployment}`));
  assert.deepEqual(
    hub?.asked.map(({ route }) => route),
    [`POST ${DEPLOYMENTS}`, EVENTS],
  );
});

test('deploy --detach does not follow', async () => {
  const made = sampleDeployment({ status: 'queued' });
  const result = await run(['deploy', '--detach', '--json', ...SHOP], { [`POST ${DEPLOYMENTS}`]: () => made });
  assert.deepEqual([result.code, JSON.parse(result.stdout)], [0, made]);
});

test('rollback goes to the previous release unless another is named', async () => {
  const list: Script = () => [
    sampleDeployment({ status: 'failed' }),
    sampleDeployment({ id: IDS.host, status: 'live' }),
    sampleDeployment({ id: IDS.older, status: 'superseded' }),
  ];
  const made = sampleDeployment({ kind: 'rollback' });
  const routes = { [`GET ${DEPLOYMENTS}`]: list, [`POST /deployments/${IDS.older}/rollback`]: () => made };
  const result = await run(['rollback', '--detach', '--variables', 'release', ...SHOP], routes);
  assert.equal(result.code, 0);
  assert.deepEqual(hub?.asked.at(-1)?.body, { variables: 'release' });
  assert.match(result.stderr, /Back to aaaaaaa/);
  assert.equal((await home.run(['rollback', '--variables', 'none', ...SHOP])).code, 2);
});

test('deploy --again deploys what is live, and nothing where nothing is', async () => {
  const made = sampleDeployment({ kind: 'rollback' });
  const list: Script = () => [
    sampleDeployment({ status: 'failed' }),
    sampleDeployment({ id: IDS.older, status: 'live' }),
  ];
  const routes = { [`GET ${DEPLOYMENTS}`]: list, [`POST /deployments/${IDS.older}/rollback`]: () => made };
  const result = await run(['deploy', '--again', '--detach', ...SHOP], routes);
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(hub?.asked.at(-1)?.body, { variables: 'current' });
  assert.equal((await home.run(['deploy', '--again', '--commit', 'a'.repeat(40), ...SHOP])).code, 2);
  await hub?.stop();
  const nothing = await run(['deploy', '--again', '--json', ...SHOP], { [`GET ${DEPLOYMENTS}`]: () => [] });
  assert.deepEqual([nothing.code, JSON.parse(nothing.stdout).code], [1, 'ORK_NOT_FOUND']);
});

test('a rollback that the plan does not have is told with its code', async () => {
  const result = await run(['rollback', IDS.older, '--json'], {
    [`POST /deployments/${IDS.older}/rollback`]: refuse('ORK_PLAN_LIMIT', 'The plan Free has no rollbacks.'),
  });
  assert.deepEqual([result.code, JSON.parse(result.stdout).code], [1, 'ORK_PLAN_LIMIT']);
});

test('cancel takes the deployment that is under way, and says so when there is none', async () => {
  const cancelled = sampleDeployment({ status: 'cancelled' });
  const path = `POST /deployments/${IDS.deployment}/cancel`;
  const result = await run(['cancel', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment()],
    [path]: () => cancelled,
  });
  assert.equal(result.code, 0);
  await hub?.stop();
  const none = await run(['cancel', '--json', ...SHOP], { [`GET ${DEPLOYMENTS}`]: () => [cancelled] });
  assert.deepEqual([none.code, JSON.parse(none.stdout).code], [1, 'ORK_NOT_FOUND']);
});

test('deployments list and show', async () => {
  const list = await run(['deployments', 'list', '--limit', '5', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment({ status: 'live', finishedAt: '2030-01-01T00:00:15.500Z' })],
  });
  assert.match(list.stdout, /^STATUS +COMMIT +TRIGGER +AGE +TOOK +ID\nlive +aaaaaaa +manual +just now +15\.5 s +0189/);
  assert.equal(hub?.asked[0]?.query, '?limit=5');
  await hub?.stop();
  const step = liveEvents[2];
  assert.ok(step?.kind === 'step');
  const detail = { ...sampleDeployment({ status: 'live' }), steps: [step.step], release: null };
  const show = await run(['deployments', 'show', IDS.deployment], {
    [`GET /deployments/${IDS.deployment}`]: () => detail,
  });
  assert.match(show.stdout, /clone +done +412 ms +aaaaaaa Add greeting/);
});

test('logs prints the newest deployment’s log as it is; --json as one object', async () => {
  const log: Script = ({ query }, response) =>
    void response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(query === '?step=build' ? 'a\r\u001b[31mb\u001b[0m\n' : 'all');
  const routes = {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment()],
    [`GET /deployments/${IDS.deployment}/logs`]: log,
  };
  const plain = await run(['logs', '--step', 'build', ...SHOP], routes);
  assert.deepEqual([plain.code, plain.stdout], [0, 'a\r\u001b[31mb\u001b[0m\n']);
  await hub?.stop();
  const json = await run(['logs', IDS.deployment, '--json'], routes);
  assert.deepEqual(JSON.parse(json.stdout), { deployment: IDS.deployment, step: null, text: 'all' });
  assert.equal((await home.run(['logs', '--step', 'nonsense', ...SHOP])).code, 2);
});

test('logs --follow prints log lines alone and exits with the fate', async () => {
  const result = await run(['logs', IDS.deployment, '--follow', '--step', 'build'], { [EVENTS]: stream(liveEvents) });
  assert.deepEqual([result.code, result.stdout], [0, 'step 1\n100%\nlast\n']);
  await hub?.stop();
  const json = await run(['logs', IDS.deployment, '--follow', '--json'], { [EVENTS]: stream(liveEvents) });
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line).kind),
    ['log', 'log'],
  );
});

test('logs tells on stderr why a deployment failed, and what to do; of an app nothing but its words', async () => {
  const error = {
    code: 'ORK_APP_EXITED' as const,
    message: 'Its last line: \u001b[2J\u001b[31mno database\u001b[0m',
    evidence: ['\u001b]0;title\u0007no database'],
  };
  const failed = sampleDeployment({ status: 'failed', error });
  const events = stream([statusEvent(failed), logEvent('health', 0, 'line\n'), { kind: 'end', status: 'failed' }]);
  const followed = await run(['logs', IDS.deployment, '--follow'], { [EVENTS]: events });
  assert.deepEqual([followed.code, followed.stdout], [1, 'line\n']);
  await hub?.stop();
  const whole = await run(['logs', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [failed],
    [`GET /deployments/${IDS.deployment}/logs`]: (_asked, response) => void response.writeHead(200).end('line\n'),
  });
  assert.deepEqual([whole.code, whole.stdout], [0, 'line\n']);
  for (const { stderr } of [followed, whole]) {
    assert.match(
      stderr,
      /^ORK_APP_EXITED {2}Its last line: no database\n {2}│ no database\nWhat to do: The app ended/m,
    );
  }
});

// Hosts and tokens

const host = {
  id: IDS.host,
  name: 'vps 1',
  enrolled: false,
  online: false,
  lastSeenAt: null,
  agentVersion: null,
  upgradeTo: null,
  refusal: null,
  status: null,
};

test('hosts add prints the command that joins the host', async () => {
  const made = { ...host, joinToken: 'orkj_token', joinTokenExpiresAt: AT, installCommand: null };
  const result = await run(['hosts', 'add', 'vps 1'], { 'POST /hosts': () => made });
  assert.match(result.stdout, /orkestr-agent join --hub http:\/\/127\.0\.0\.1:\d+ --token orkj_token --name 'vps 1'/);
  await hub?.stop();
  const installCommand = 'curl -fsSL https://hub.example.com/install.sh | sudo sh -s -- --token orkj_token';
  const other = await run(['hosts', 'add', 'vps 1'], { 'POST /hosts': () => ({ ...made, installCommand }) });
  assert.ok(
    other.stdout.includes(`  ${installCommand}\n`) && !other.stdout.includes('orkestr-agent join'),
    other.stdout,
  );
});

test('hosts set says whether the host builds, and what follows', async () => {
  const sent: unknown[] = [];
  const answers = {
    'GET /hosts': () => [host],
    [`PATCH /hosts/${host.id}`]: ({ body }: { body: unknown }) => {
      sent.push(body);
      return { ...host, builds: false };
    },
  };
  const result = await run(['hosts', 'set', 'vps 1', '--builds', 'no'], answers);
  assert.deepEqual(sent, [{ builds: false }]);
  assert.match(result.stdout, /vps 1 does not build: its environments need a registry/);
  await hub?.stop();
  assert.match((await run(['hosts', 'set', 'vps 1'], answers)).stderr, /Nothing to change/);
  await hub?.stop();
  assert.match((await run(['hosts', 'set', 'vps 1', '--builds', 'maybe'], answers)).stderr, /yes, no/);
});

test('hosts list shows each host; an empty list says how to begin', async () => {
  assert.match((await run(['hosts', 'list'], { 'GET /hosts': () => [host] })).stdout, /vps 1 +waits for join +never/);
  await hub?.stop();
  assert.match((await run(['hosts', 'list'], { 'GET /hosts': () => [] })).stdout, /orkestr hosts add NAME/);
});

test('hosts list says what to do about a host that is not well', async () => {
  const { stdout } = await run(['hosts', 'list'], { 'GET /hosts': () => [{ ...host, enrolled: true }] });
  assert.match(stdout, /^vps 1: Its apps run on; deployments wait for it\. Start orkestr-agent on the host/m);
});

test('hosts list shows the version of each agent, and why one is refused', async () => {
  const refusal = { code: 'ORK_PROTOCOL_AGENT_OLD', message: 'The hub speaks 2 to 3, the agent 1.', evidence: [] };
  const old = { ...host, enrolled: true, agentVersion: '0.1.0', refusal };
  const { stdout } = await run(['hosts', 'list'], { 'GET /hosts': () => [old] });
  assert.match(stdout, /vps 1 +refused +never +0\.1\.0/);
  assert.match(stdout, /vps 1 is refused: The hub speaks 2 to 3, the agent 1\.\nUpgrade orkestr on the host/);
});

test('tokens create prints the token alone on stdout, so that it can be piped; revoke takes a name', async () => {
  const token = { id: IDS.older, name: 'ci', scopes: ['git'], createdAt: AT, expiresAt: null, lastUsedAt: null };
  const made = await run(['tokens', 'create', 'ci', '--scope', 'git', '--expires-in-days', '9'], {
    'POST /tokens': () => ({ ...token, token: 'ork_new' }),
  });
  assert.equal(made.stdout, 'ork_new\n');
  assert.deepEqual(hub?.asked[0]?.body, { name: 'ci', scopes: ['git'], expiresInDays: 9 });
  await hub?.stop();
  const gone: Script = (_asked, response) => void response.writeHead(204).end();
  const routes = { 'GET /tokens': () => [token], [`DELETE /tokens/${IDS.older}`]: gone };
  assert.equal((await run(['tokens', 'revoke', 'ci'], routes)).code, 0);
});
