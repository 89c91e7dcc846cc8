import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BuildLimits } from '../protocol/job.ts';
import { overPlan, PLANS, withinPlan } from './plans.ts';

test('the default build limits are within every plan', () => {
  for (const plan of Object.values(PLANS)) assert.deepEqual(overPlan(BuildLimits.parse({}), plan), []);
});

test('docs/hub.md lists the figures of every plan', () => {
  const page = readFileSync(new URL('../docs/hub.md', import.meta.url), 'utf8');
  for (const { name, build, keepImages, keepDetails, rollback } of Object.values(PLANS)) {
    const { memoryMiB, cpus, diskMiB, timeoutSeconds } = build;
    const cells = [name, memoryMiB, cpus, diskMiB, timeoutSeconds, keepImages, keepDetails, rollback ? 'yes' : 'no'];
    assert.ok(page.includes(`| ${cells.join(' | ')} |`), name);
  }
});

test('limits above the plan are named and lowered to it; all others stay', () => {
  const build = BuildLimits.parse({ memoryMiB: 4096, cpus: 1.5, diskMiB: 10_000, logMiB: 512 });
  assert.deepEqual(overPlan(build, PLANS.free), [
    'settings.build.memoryMiB: 4096 exceeds the limit of the plan Free, 2048',
    'settings.build.diskMiB: 10000 exceeds the limit of the plan Free, 8192',
  ]);
  assert.deepEqual(withinPlan(build, PLANS.free), { ...build, memoryMiB: 2048, diskMiB: 8192 });
  assert.deepEqual(withinPlan(build, PLANS.pro), build);
});
