import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test, type TestContext } from 'node:test';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { AGENT_LINK_PATH } from '../protocol/agent-link.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { runOurs, startOurs } from '../test/harness/our-program.ts';
import { readConfig } from './config.ts';
import { startHub } from './hub.ts';

function makeState(): { readonly env: NodeJS.ProcessEnv; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-hub-'));
  return {
    env: { ORKESTR_HUB_STATE: join(folder, 'state'), ORKESTR_HUB_LISTEN: '127.0.0.1:0' },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function freshState(t: TestContext): NodeJS.ProcessEnv {
  const { env, remove } = makeState();
  t.after(remove);
  return env;
}

/** A hub that listens, as its own process. */
interface Served {
  readonly hub: ChildProcess;
  readonly url: string;
  readonly kill: () => Promise<void>;
}

async function serve(env: NodeJS.ProcessEnv): Promise<Served> {
  const hub = startOurs('hub/main.ts', ['serve'], env);
  const ended = once(hub, 'exit');
  const kill = async (): Promise<void> => {
    hub.kill('SIGKILL');
    await ended;
  };
  for await (const line of createInterface({ input: hub.stdout })) {
    const { msg, url } = JSON.parse(line) as { msg: string; url: string };
    if (msg !== 'listening') continue;
    hub.stdout.resume();
    return { hub, url, kill };
  }
  return assert.fail('It ended before it listened.');
}

/** It is killed when the test ends. */
async function serveIn(t: TestContext, env: NodeJS.ProcessEnv): Promise<Served> {
  const served = await serve(env);
  t.after(served.kill);
  return served;
}

/** Runs a command of the hub that must succeed; returns its stdout. */
async function command(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runOurs('hub/main.ts', args, env);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Runs a command of the hub that must fail; returns its stderr. */
async function failure(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const { code, stderr } = await runOurs('hub/main.ts', args, env);
  assert.equal(code, 1, stderr);
  return stderr;
}

test('a hub starts, answers on HTTP, git and the agent link, and stops', async (t) => {
  const config = readConfig(freshState(t));
  const hub = await startHub(config, makeLogger('hub', 'silent'));
  t.after(() => hub.stop());
  assert.match(hub.listenUrl, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(hub.deps.hubUrl(), hub.listenUrl);
  const status = async (path: string): Promise<number> => {
    const answer = await request(hub.listenUrl + path);
    await answer.body.dump();
    return answer.statusCode;
  };
  assert.equal(await status('/healthz'), 200);
  assert.equal(await status('/readyz'), 200);
  assert.equal(await status('/api/v1/me'), 401);
  assert.equal(await status('/git/shop.git/info/refs?service=git-receive-pack'), 401);
  const agent = new WebSocket(hub.listenUrl.replace('http', 'ws') + AGENT_LINK_PATH);
  const [data] = (await once(agent, 'message')) as [Buffer];
  assert.equal((JSON.parse(data.toString()) as { type: string }).type, 'challenge');
  const stranger = new WebSocket(`${hub.listenUrl.replace('http', 'ws')}/elsewhere`);
  const [error] = (await once(stranger, 'error')) as [Error];
  assert.match(error.message, /404/);
  const gone = once(agent, 'close');
  await hub.stop();
  await gone;
  await assert.rejects(status('/healthz'), { code: 'ECONNREFUSED' });
});

test("the state is accessible to the hub's user only, and the keys stay the same after a restart", async (t) => {
  const config = readConfig(freshState(t));
  const first = await startHub(config, makeLogger('hub', 'silent'));
  await first.stop();
  assert.equal(statSync(config.stateFolder).mode & 0o777, 0o700);
  for (const name of ['secret.key', 'hub-key.pem']) {
    assert.equal(statSync(join(config.stateFolder, name)).mode & 0o777, 0o600, name);
  }
  const second = await startHub(config, makeLogger('hub', 'silent'));
  t.after(() => second.stop());
  assert.deepEqual(second.deps.hubKey, first.deps.hubKey);
  assert.equal(second.deps.sealer.open(first.deps.sealer.seal('text', 'x'), 'x'), 'text');
  assert.ok(!readFileSync(join(config.stateFolder, 'hub-key.pem'), 'utf8').includes('PUBLIC'));
});

test('a second hub on the same state is refused, and the first keeps running', async (t) => {
  const config = readConfig(freshState(t));
  const first = await startHub(config, makeLogger('hub', 'silent'));
  t.after(() => first.stop());
  await assert.rejects(startHub(config, makeLogger('hub', 'silent')), { code: 'ORK_ALREADY_RUNNING' });
  const answer = await request(`${first.listenUrl}/readyz`);
  await answer.body.dump();
  assert.equal(answer.statusCode, 200);
});

test('an address in use is named, and the failed start leaves no lock behind', async (t) => {
  const env = freshState(t);
  const first = await startHub(readConfig(env), makeLogger('hub', 'silent'));
  t.after(() => first.stop());
  const taken = readConfig({ ...freshState(t), ORKESTR_HUB_LISTEN: new URL(first.listenUrl).host });
  const start = () => startHub(taken, makeLogger('hub', 'silent'));
  await assert.rejects(start(), { code: 'ORK_CONFIG', message: /ORKESTR_HUB_LISTEN: .*EADDRINUSE/ });
  await assert.rejects(start(), { code: 'ORK_CONFIG' }, 'the state is not locked any more');
});

describe('beside a running hub', () => {
  const setUp = ['setup', '--email', 'root@localhost', '--team', 'Home', '--json'];
  let state: ReturnType<typeof makeState>;
  let running: Served;
  let token: string;
  before(async () => {
    state = makeState();
    running = await serve(state.env);
    ({ token } = JSON.parse(await command(state.env, ...setUp)) as { token: string });
  });
  after(async () => {
    await running.kill();
    state.remove();
  });

  const me = async (bearer: string): Promise<string> => {
    const answer = await request(`${running.url}/api/v1/me`, { headers: { authorization: `Bearer ${bearer}` } });
    return answer.body.text();
  };

  test('setup works once beside a running hub, and the token is valid at once', async () => {
    assert.match(await me(token), /"slug":"home"/);
    assert.match(await failure(state.env, ...setUp), /^ORK_CONFLICT: This hub is already set up\./);
  });

  test('an admin token can be created beside a running hub, and the command creates no hub where there is none', async (t) => {
    assert.match(await failure(freshState(t), 'token'), /^ORK_CONFIG: .*there is no hub in/);
    assert.match(await me((await command(state.env, 'token')).trim()), /"slug":"home"/);
  });

  test('the plan of a team can be changed beside a running hub; teams and plans are listed', async () => {
    const { env } = state;
    assert.match(await command(env, 'plan'), /^home {2}Pro {2}Home\n\nfree {2}a build: 2048 MiB of memory/);
    assert.match(await command(env, 'plan', 'home', 'team'), /^home {2}Team {2}Home\n/);
    const { teams, plans } = JSON.parse(await command(env, 'plan', 'home', '--json')) as {
      teams: unknown;
      plans: object;
    };
    assert.deepEqual(teams, [{ slug: 'home', name: 'Home', plan: 'team' }]);
    assert.deepEqual(Object.keys(plans), ['free', 'pro', 'team']);
    assert.match(await me(token), /"plan":"team"/);
    assert.match(
      await failure(env, 'plan', 'home', 'gold'),
      /^ORK_INVALID: There is no plan "gold"\. The plans: free, pro, team\./,
    );
    assert.match(await failure(env, 'plan', 'away', 'pro'), /^ORK_NOT_FOUND: There is no team "away"\. .*: home\./);
  });
});

test('SIGTERM ends the process cleanly with open connections', async (t) => {
  const env = freshState(t);
  const { hub, url } = await serveIn(t, env);
  const agent = new WebSocket(url.replace('http', 'ws') + AGENT_LINK_PATH);
  await once(agent, 'message');
  const closed = once(agent, 'close');
  hub.kill('SIGTERM');
  const [code] = (await once(hub, 'exit')) as [number];
  assert.equal(code, 0);
  await closed;
});

test('after kill -9 the next hub takes over the state', async (t) => {
  const env = freshState(t);
  await (await serve(env)).kill();
  const { url } = await serveIn(t, env);
  const answer = await request(`${url}/readyz`);
  await answer.body.dump();
  assert.equal(answer.statusCode, 200);
});

test('the command line explains errors and usage', async () => {
  assert.match(await command({}, '--version'), /^\d+\.\d+\.\d+$/m);
  assert.match(await command({}, '--help'), /Examples:[\s\S]*setup --email/);
  assert.match(await failure({}, 'setup'), /--email/);
  assert.match(await failure({}, 'surve'), /unknown command/);
});
