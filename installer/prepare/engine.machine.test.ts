import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { identify, isAlive } from '../stack/process-identity.ts';
import { runProgram } from '../stack/run-program.ts';
import { ensureEngine, stopEngine } from './engine.ts';
import type { EnginePlan } from './engine.ts';

let folder: string;
let plan: EnginePlan;
const quiet = (): void => undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ork-engine-'));
  // In its own network namespace: two engines in one would fight over docker0 and the firewall.
  plan = {
    folder: join(folder, 'engine'),
    runFolder: join(folder, 'run'),
    logFile: join(folder, 'engine.log'),
    socket: join(folder, 'docker.sock'),
    systemd: false,
    wrapper: ['unshare', '--net', '--'],
  };
});

afterEach(async () => {
  await stopEngine(plan);
  rmSync(folder, { recursive: true, force: true });
});

const enginePid = async (): Promise<number> => {
  const { stdout } = await runProgram(['pgrep', '-f', `dockerd.*${plan.runFolder}`]);
  return Number(stdout.trim().split('\n')[0]);
};

test('an engine is started where none answers, adopted by a later run, and stopped with all its processes', async () => {
  const started = await ensureEngine(plan, quiet);
  assert.equal(started.origin, 'started');
  assert.match(started.version, /^\d+\./);
  assert.equal((await ensureEngine(plan, quiet)).origin, 'adopted');
  assert.equal(await stopEngine(plan), true);
  const left = await runProgram(['pgrep', '-f', plan.runFolder]);
  assert.equal(left.stdout, '');
  assert.equal(await stopEngine(plan), false, 'nothing of ours is left to stop');
});

test('a run after kill -9 of the engine starts it again beside the helpers that it left', async () => {
  await ensureEngine(plan, quiet);
  const pid = await enginePid();
  const identity = identify(pid);
  assert.ok(identity);
  process.kill(pid, 'SIGKILL');
  while (isAlive(identity)) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await ensureEngine(plan, quiet)).origin, 'started');
});

test('an engine that already answers belongs to somebody else: it is kept and never stopped', async () => {
  const server = createServer((_request, response) => response.end(JSON.stringify({ Version: '99.0' })));
  await new Promise<void>((resolve) => server.listen(plan.socket, resolve));
  try {
    assert.deepEqual(await ensureEngine(plan, quiet), { version: '99.0', origin: 'found' });
    assert.equal(await stopEngine(plan), false);
    assert.equal((await ensureEngine(plan, quiet)).version, '99.0');
  } finally {
    server.close();
  }
});

test('the error for an engine that cannot start shows the end of its log', async () => {
  plan = { ...plan, wrapper: ['unshare', '--net', '--', 'env', 'PATH=/nonexistent'] };
  await assert.rejects(ensureEngine(plan, quiet), (error: Error & { evidence?: string[] }) => {
    assert.match(error.message, /ended while starting/);
    assert.match((error.evidence ?? []).join('\n'), /dockerd/);
    return true;
  });
});
