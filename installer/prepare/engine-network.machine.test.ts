import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { mustRun } from '../stack/run-program.ts';
import { noteNetwork, restoreNetwork } from './engine-network.ts';
import { ensureEngine, stopEngine } from './engine.ts';
import type { EnginePlan } from './engine.ts';

let folder: string;
let namespace: string;
let plan: EnginePlan;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ork-network-'));
  namespace = `ork-${randomBytes(4).toString('hex')}`;
  await mustRun('ip netns add', ['ip', 'netns', 'add', namespace]);
  plan = {
    folder: join(folder, 'engine'),
    runFolder: join(folder, 'run'),
    logFile: join(folder, 'engine.log'),
    socket: join(folder, 'docker.sock'),
    systemd: false,
    wrapper: ['nsenter', `--net=/run/netns/${namespace}`, '--'],
  };
});
afterEach(async () => {
  await stopEngine(plan);
  await mustRun('ip netns delete', ['ip', 'netns', 'delete', namespace]);
  rmSync(folder, { recursive: true, force: true });
});

const inside = (...argv: [string, ...string[]]): Promise<string> =>
  mustRun(argv.join(' '), [...(plan.wrapper ?? []), ...argv] as [string, ...string[]]);

/** Links, rules and policies, as their programs print them. */
const network = async (): Promise<string> =>
  [
    await inside('ip', '-brief', 'link'),
    await inside('iptables', '--list-rules'),
    await inside('iptables', '--table', 'nat', '--list-rules'),
  ].join('\n');

test('stopping a started engine restores bridges, chains and policies, and leaves other rules alone', async () => {
  await inside('iptables', '--append', 'FORWARD', '--in-interface', 'eth7', '--jump', 'ACCEPT');
  const before = await network();
  await ensureEngine(plan, () => undefined);
  assert.match(await network(), /docker0/);
  assert.match(await network(), /-N DOCKER$/m);
  // dockerd does this itself if forwarding was disabled before it started.
  await inside('iptables', '--policy', 'FORWARD', 'DROP');
  await stopEngine(plan);
  assert.equal(await network(), before);
  await restoreNetwork(plan);
  assert.equal(await network(), before, 'a second time changes nothing');
});

test('the network of an engine that was there before stays', async () => {
  await inside('ip', 'link', 'add', 'docker0', 'type', 'bridge');
  await ensureEngine(plan, () => undefined);
  await noteNetwork(plan);
  await stopEngine(plan);
  assert.match(await network(), /docker0/);
  assert.match(await network(), /-N DOCKER$/m);
});
