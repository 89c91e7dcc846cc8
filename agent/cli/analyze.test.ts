import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { BuildPlan } from '../../protocol/steps.ts';
import { appFolder, planOf } from '../../test/fixtures/plan-of.ts';
import { runOurs } from '../../test/harness/our-program.ts';

const agent = (...args: string[]) => runOurs('agent/main.ts', ['analyze', ...args]);

describe('orkestr-agent analyze', () => {
  test('prints the plan, its evidence and the Dockerfile', async () => {
    const { stdout } = await agent(appFolder('next'));
    assert.match(stdout, /^Next\.js \(node\), detected as node \(certain\)\n/);
    assert.match(stdout, /^start: next start \(package\.json scripts\.start\)$/m);
    assert.match(stdout, /^ {2}CMD \["next","start"\]$/m);
    assert.match(stdout, /^generated file: \.dockerignore$/m);
  });

  test('with --json prints the plan as a deployment would store it', async () => {
    const { stdout } = await agent(appFolder('next'), '--json');
    const plan = BuildPlan.parse(JSON.parse(stdout));
    assert.deepEqual({ ...plan, dockerfile: null }, { ...(await planOf('next')), dockerfile: null });
  });

  test('accepts the settings of an environment as options', async () => {
    const { stdout } = await agent(appFolder('workspace-npm'), '--root', 'apps/web', '--runtime-version', '22');
    assert.match(stdout, /^ {2}FROM node:22-trixie-slim AS build$/m);
  });

  test('prints why there is no plan and what to do, and exits with code 1', async () => {
    const { code, stderr, stdout } = await agent(appFolder('nothing-detected'));
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^ORK_NOTHING_DETECTED: .*\n(?: {2}\| .*\n)+Add a Dockerfile/);
    assert.match((await agent('/now\u001b]0;title\u0007here')).stderr, /ORK_NOT_FOUND: There is no folder \/nowhere/);
    assert.match((await agent(appFolder('next'), '--root', '../x')).stderr, /ORK_INVALID: --root/);
  });

  test('has help with examples', async () => {
    assert.match((await agent('--help')).stdout, /Examples:\n.*orkestr-agent analyze \. --json/s);
  });
});
