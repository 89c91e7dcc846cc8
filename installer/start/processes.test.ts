import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isAlive } from '../stack/process-identity.ts';
import { Service } from '../stack/service.ts';
import { agentState, proxyCommand, proxyEnv } from '../stack/stack.ts';
import { Home } from './home.ts';
import { stackPlan } from './installation.ts';
import { LiveView } from './live-view.ts';
import { endLeftovers, Watched } from './processes.ts';
import { Teardown } from './teardown.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ork-watch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a process that dies is restarted and reported, until it is stopped', async () => {
  const told: string[] = [];
  const started = Promise.withResolvers<void>();
  const watched = await Watched.start(
    {
      name: 'agent',
      argv: [process.execPath, '-e', 'process.exit(7)'],
      env: {},
      logFile: join(folder, 'agent.log'),
    },
    (line) => {
      told.push(line);
      if (told.length === 2) started.resolve();
    },
  );
  await started.promise;
  await watched.stop();
  assert.match(told[0] ?? '', /agent ended \(exit code 7\) and is being restarted/);
  const count = told.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(told.length, count, 'nothing is started after stop');
});

test('a process that is stopped during its restart stays stopped', { timeout: 120_000 }, async (t) => {
  const mark = join(folder, 'ran');
  const once = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '', { flag: 'wx' }); process.exit(7)`;
  const code = `try { ${once} } catch { setInterval(() => {}, 1000) }`;
  const command = {
    name: 'agent',
    argv: [process.execPath, '-e', code],
    env: {},
    logFile: join(folder, 'log'),
  } as const;
  const watched = await Watched.start(command, () => undefined);
  const start = Service.start.bind(Service);
  const stopped = Promise.withResolvers<Service>();
  t.mock.method(Service, 'start', async (again: typeof command) => {
    const second = await start(again);
    t.after(() => second.kill());
    watched.stop().then(() => stopped.resolve(second), stopped.reject);
    return second;
  });
  assert.equal(isAlive((await stopped.promise).identity), false);
});

test('a restart that fails because the machine has no process left is tried again', async (t) => {
  const told: string[] = [];
  const watched = await Watched.start(
    { name: 'agent', argv: [process.execPath, '-e', 'process.exit(7)'], env: {}, logFile: join(folder, 'log') },
    (line) => void told.push(line),
  );
  const start = Service.start.bind(Service);
  const again = Promise.withResolvers<void>();
  let tries = 0;
  t.mock.method(Service, 'start', async (...asked: Parameters<typeof Service.start>) => {
    tries += 1;
    if (tries === 1) throw new Error('spawn EAGAIN');
    again.resolve();
    return start(...asked);
  });
  await again.promise;
  await watched.stop();
  assert.match(told.join('\n'), /agent could not be started: spawn EAGAIN/);
});

test('the processes of a killed launcher are found by their state folder and ended; those of other folders live on', async () => {
  const plan = stackPlan(new Home(join(folder, 'a')), 1, 1);
  const other = stackPlan(new Home(join(folder, 'b')), 1, 1);
  // Stands for `node agent/main.ts serve` and the like: only its arguments and its environment matter.
  const start = (program: string, env: NodeJS.ProcessEnv): Promise<Service> =>
    Service.start({
      name: 'agent',
      argv: [process.execPath, '-e', 'setInterval(() => {}, 1000)', program, 'serve'],
      env,
      logFile: join(folder, 'log'),
    });
  const left = [
    await start('agent/main.ts', { ORKESTR_AGENT_STATE: agentState(plan) }),
    await start(proxyCommand(plan).argv.at(-2) ?? '', proxyEnv(plan)),
  ];
  const stranger = await start('agent/main.ts', { ORKESTR_AGENT_STATE: agentState(other) });
  try {
    assert.equal(await endLeftovers(plan), 2);
    for (const service of left) await service.exited;
    assert.deepEqual(
      left.map(({ identity }) => isAlive(identity)),
      [false, false],
    );
    assert.equal(isAlive(stranger.identity), true);
  } finally {
    for (const service of [stranger, ...left]) await service.kill();
  }
});

test('the teardown runs in reverse order, whatever fails on the way', async () => {
  const order: string[] = [];
  const teardown = new Teardown((name) => order.push(`${name} failed`));
  teardown.add('engine', async () => void order.push('engine'));
  teardown.add('hub', () => Promise.reject(new Error('stuck')));
  teardown.add('agent', async () => void order.push('agent'));
  assert.equal(await teardown.run(), false);
  assert.deepEqual(order, ['agent', 'hub failed', 'engine']);
  assert.equal(await teardown.run(), true, 'nothing is undone twice');
});

test('a terminal keeps the block below the lines; other outputs get only the lines', () => {
  let terminal = '';
  const view = new LiveView({ isTTY: true, columns: 40, write: (text) => (terminal += text) });
  view.block(['one', 'two']);
  view.line('news');
  assert.ok(terminal.endsWith('news\n\u001b[2mone\u001b[22m\n\u001b[2mtwo\u001b[22m\n'));
  assert.ok(terminal.includes('\u001b[2A\r\u001b[0Jnews'));
  let plain = '';
  const log = new LiveView({ write: (text) => (plain += text) });
  log.block(['one']);
  log.line('news');
  assert.equal(plain, 'news\n');
});
