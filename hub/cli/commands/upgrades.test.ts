import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host, Upgrade } from '../../api/schemas.ts';
import { AT, IDS } from '../test-answers.ts';
import { away, refuse, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

const host = (id: string, name: string): Host => ({
  id,
  name,
  enrolled: true,
  online: true,
  builds: true,
  lastSeenAt: AT,
  agentVersion: '1.0.0',
  upgradeTo: '2.0.0',
  refusal: null,
  status: null,
  downApps: [],
});
const HOSTS = [host(IDS.host, 'vps-1'), host(IDS.older, 'vps-2')];
const AN_ERROR = { code: 'ORK_HOST_OFFLINE' as const, message: 'It was away for 10 minutes.', evidence: [] };

type States = readonly Upgrade['hosts'][number]['state'][];
const upgrade = (state: Upgrade['state'], states: States): Upgrade => ({
  id: IDS.deployment,
  version: '2.0.0',
  atOnce: 1,
  state,
  hosts: states.map((one, index) => ({
    id: HOSTS[index]?.id ?? '',
    name: HOSTS[index]?.name ?? '',
    state: one,
    error: one === 'failed' ? AN_ERROR : null,
  })),
  createdAt: AT,
  finishedAt: null,
});

/** Answers with each one in turn, then repeats the last one. */
const inTurn = (upgrades: Upgrade[]): Script => {
  const left = [...upgrades];
  return () => (left.length > 1 ? left.shift() : left[0]);
};
const ONE = `GET /upgrades/${IDS.deployment}`;

test('hosts upgrade takes names in order, or --all, and sends --version and --at-once to the hub', async () => {
  const routes = { 'GET /hosts': () => HOSTS, 'POST /upgrades': () => upgrade('running', ['ordered', 'waiting']) };
  const named = await run(['hosts', 'upgrade', 'vps-2', 'vps-1', '--version', '2.0.0', '--at-once', '2'], routes);
  assert.equal(named.code, 0, named.stderr);
  assert.deepEqual(cli.hub?.asked.at(-1)?.body, { version: '2.0.0', atOnce: 2, hosts: [IDS.older, IDS.host] });
  assert.match(named.stdout, /Upgrade to 2\.0\.0: running/);
  assert.match(named.stdout, /vps-1 +ordered\nvps-2 +waiting\n/);
  const all = await run(['host', 'upgrade', '--all', '--json'], routes);
  assert.deepEqual(cli.hub?.asked.at(-1)?.body, { atOnce: 1 });
  assert.equal(JSON.parse(all.stdout).state, 'running');
});

test('hosts upgrade without hosts, or with both names and --all, is a usage error', async () => {
  for (const args of [[], ['vps-1', '--all'], ['--all', '--at-once', '0']]) {
    assert.equal((await run(['hosts', 'upgrade', ...args], {})).code, 2);
  }
});

test('--follow prints a line per change, and its exit code follows the result', async () => {
  const went = [
    upgrade('running', ['ordered', 'waiting']),
    upgrade('running', ['healthy', 'ordered']),
    upgrade('done', ['healthy', 'healthy']),
  ];
  const done = await run(['hosts', 'upgrade', '--all', '--follow'], {
    'POST /upgrades': () => went[0],
    [ONE]: inTurn(went.slice(1)),
  });
  assert.equal(done.code, 0, done.stderr);
  assert.match(
    done.stdout,
    /vps-1 {2}ordered\nvps-2 {2}waiting\nvps-1 {2}healthy\nvps-2 {2}ordered\nvps-2 {2}healthy\n\nDone/,
  );
  const paused = await run(['upgrades', 'show', IDS.deployment, '--follow'], {
    [ONE]: () => upgrade('paused', ['failed', 'waiting']),
  });
  assert.equal(paused.code, 1);
  assert.match(paused.stdout, /vps-1 {2}failed {2}It was away for 10 minutes\. \(ORK_HOST_OFFLINE\)/);
  assert.match(paused.stdout, /orkestr upgrades resume/);
});

test('a paused upgrade is still followed while a host is in its trial; Ctrl-C detaches', async () => {
  const left = await run(
    ['upgrades', 'show', '--follow'],
    {
      'GET /upgrades': () => [upgrade('paused', ['failed', 'trial'])],
      [ONE]: () => upgrade('paused', ['failed', 'trial']),
    },
    { interruptAt: 'trial' },
  );
  assert.equal(left.code, 130, left.stderr);
  assert.match(left.stderr, /the upgrade continues/);
});

test('--follow survives an unreachable hub, and when refused says that the upgrade continues', async () => {
  const looks = [away, () => upgrade('done', ['healthy', 'healthy'])];
  const routes = {
    'GET /upgrades': () => [upgrade('running', ['healthy', 'trial'])],
    [ONE]: ((asked, response) => looks.shift()?.(asked, response)) satisfies Script,
  };
  const done = await run(['upgrades', 'show', '--follow'], routes);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /^The hub behind .* does not answer\. Trying again …$/m);
  looks.push(refuse('ORK_UNAUTHENTICATED', 'The token was revoked.'));
  const refused = await run(['upgrades', 'show', '--follow'], routes);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /The token was revoked\.\n[^]*The upgrade continues\. .*orkestr upgrades show \S+ --follow$/m,
  );
});

test('upgrades list, resume, skip and cancel use the newest upgrade', async () => {
  const paused = upgrade('paused', ['failed', 'waiting']);
  const newest = { 'GET /upgrades': () => [paused] };
  const list = await run(['upgrades', 'list'], newest);
  assert.match(list.stdout, /2\.0\.0 +paused +0 of 2/);
  for (const [args, route, body] of [
    [['resume'], 'resume', {}],
    [['cancel'], 'cancel', {}],
    [['skip', 'vps-1'], 'skip', { hosts: [IDS.host] }],
  ] as const) {
    const path = `POST /upgrades/${IDS.deployment}/${route}`;
    const result = await run(['upgrades', ...args], { ...newest, 'GET /hosts': () => HOSTS, [path]: () => paused });
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual([cli.hub?.asked.at(-1)?.route, cli.hub?.asked.at(-1)?.body], [path, body]);
  }
});

test('a refusal by the hub is printed with its remedy', async () => {
  const refusal = refuse('ORK_UPGRADE_UNSERVED', 'This hub offers 2.0.0, not 3.0.0.');
  const result = await run(['hosts', 'upgrade', '--all', '--version', '3.0.0'], { 'POST /upgrades': refusal });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /This hub offers 2\.0\.0, not 3\.0\.0\.\nRequest the version/);
});
