/** Real builds in this test's own sandbox. Needs the debian and node base images in the machine's engine. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe } from 'node:test';
import { run } from '../../lib/exec.ts';
import { Builds } from './test-builds.ts';
import { engineLife } from './test-build-engine.ts';
import { buildFailures } from './test-build-failures.ts';
import { buildIsolation } from './test-build-isolation.ts';
import { buildResults } from './test-build-results.ts';

let shared: Builds | undefined;
const builds = (): Builds => shared ?? assert.fail('the sandbox has not started');

before(async () => {
  shared = await Builds.start();
});

after(async () => {
  if (!shared) return;
  const { builder, environmentId } = shared;
  await builder.stop();
  const { images, scope } = builder;
  assert.deepEqual(await images.list(environmentId), []);
  assert.ok(!existsSync(`/sys/class/net/ob${scope}a`));
  for (const controller of ['memory', 'pids', 'cpu', '.']) {
    assert.ok(!existsSync(`/sys/fs/cgroup/${controller}/orkestr-build-${scope}`));
  }
  for (const program of ['iptables-save', 'ip6tables-save']) {
    const { stdout } = await run(program, [], { timeoutMs: 10_000, maxOutputBytes: 1_000_000 });
    assert.doesNotMatch(stdout, new RegExp(scope));
  }
});

describe('what a build produces', () => buildResults(builds));
describe('how a build fails', () => buildFailures(builds));
describe('what a build must not reach', () => buildIsolation(builds));
describe('the build engine', () => engineLife(builds));
