import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AT, IDS, host } from '../test-answers.ts';
import { useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('hosts add prints the command that joins the host', async () => {
  const made = { ...host, joinToken: 'orkj_token', joinTokenExpiresAt: AT, installCommand: null };
  const result = await run(['hosts', 'add', 'vps 1'], { 'POST /hosts': () => made });
  assert.match(result.stdout, /orkestr-agent join --hub http:\/\/127\.0\.0\.1:\d+ --token orkj_token --name 'vps 1'/);
  const installCommand = 'curl -fsSL https://hub.example.com/install.sh | sudo sh -s -- --token orkj_token';
  const other = await run(['hosts', 'add', 'vps 1'], { 'POST /hosts': () => ({ ...made, installCommand }) });
  assert.ok(
    other.stdout.includes(`  ${installCommand}\n`) && !other.stdout.includes('orkestr-agent join'),
    other.stdout,
  );
});

test('hosts set says whether the host builds, and what follows from it', async () => {
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
  assert.match((await run(['hosts', 'set', 'vps 1'], answers)).stderr, /Nothing to change/);
  assert.match((await run(['hosts', 'set', 'vps 1', '--builds', 'maybe'], answers)).stderr, /yes, no/);
});

test('hosts list shows each host; an empty list says how to start', async () => {
  assert.match((await run(['hosts', 'list'], { 'GET /hosts': () => [host] })).stdout, /vps 1 +waits for join +never/);
  assert.match((await run(['hosts', 'list'], { 'GET /hosts': () => [] })).stdout, /orkestr hosts add NAME/);
});

test('hosts list gives a remedy for an unhealthy host', async () => {
  const { stdout } = await run(['hosts', 'list'], { 'GET /hosts': () => [{ ...host, enrolled: true }] });
  assert.match(stdout, /^vps 1: Its apps keep running; deployments wait for it\. Start orkestr-agent on the host/m);
});

test('hosts list shows the version of each agent, and why an agent is refused', async () => {
  const refusal = { code: 'ORK_PROTOCOL_AGENT_OLD', message: 'The hub speaks 2 to 3, the agent 1.', evidence: [] };
  const old = { ...host, enrolled: true, agentVersion: '0.1.0', refusal };
  const { stdout } = await run(['hosts', 'list'], { 'GET /hosts': () => [old] });
  assert.match(stdout, /vps 1 +refused +never +0\.1\.0/);
  assert.match(stdout, /vps 1 is refused: The hub speaks 2 to 3, the agent 1\.\nUpgrade orkestr on the host/);
});

test('hosts list passes no control sequence of a host on to the terminal', async () => {
  const message = 'bad \u001b]0;owned\u0007\u001b[2J word';
  const refusal = { code: 'ORK_PROTOCOL_AGENT_OLD', message, evidence: [] };
  const error = { code: 'ORK_APP_EXITED' as const, message, evidence: [] };
  const app = { project: 'shop', environment: 'production', since: AT, exitCode: 1, restarts: 1, error };
  const refused = { ...host, enrolled: true, refusal };
  const status = {
    agentVersion: '0.1.0',
    engine: { reachable: true, version: '28.2.2', liveRestore: true },
    proxy: { reachable: true },
    cgroupVersion: '2',
    memory: { totalBytes: 8, availableBytes: 4 },
    disk: { totalBytes: 100, availableBytes: 50 },
    outbox: 0,
  };
  const ill = { ...host, enrolled: true, online: true, status, downApps: [app] };
  const { stdout } = await run(['hosts', 'list'], { 'GET /hosts': () => [refused, ill] });
  assert.match(stdout, /is refused: bad/);
  assert.match(stdout, /but down since .*bad/);
  assert.ok(!stdout.includes('\u001b]') && !stdout.includes('\u001b[2J'), JSON.stringify(stdout));
});

test('tokens create prints only the token on stdout, so that it can be piped; revoke takes a name', async () => {
  const token = { id: IDS.older, name: 'ci', scopes: ['git'], createdAt: AT, expiresAt: null, lastUsedAt: null };
  const made = await run(['tokens', 'create', 'ci', '--scope', 'git', '--expires-in-days', '9'], {
    'POST /tokens': () => ({ ...token, token: 'ork_new' }),
  });
  assert.equal(made.stdout, 'ork_new\n');
  assert.deepEqual(cli.hub?.asked[0]?.body, { name: 'ci', scopes: ['git'], expiresInDays: 9 });
  const gone: Script = (_asked, response) => void response.writeHead(204).end();
  const routes = { 'GET /tokens': () => [token], [`DELETE /tokens/${IDS.older}`]: gone };
  assert.equal((await run(['tokens', 'revoke', 'ci'], routes)).code, 0);
});
