import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildPlan } from '../../protocol/steps.ts';
import { boundedPlan } from './plan-size.ts';

const plan = (changes: Partial<BuildPlan> = {}): BuildPlan => ({
  detector: 'node',
  confidence: 'certain',
  portGuessed: true,
  framework: 'node',
  runtime: 'node 24',
  evidence: [],
  warnings: [],
  rootDirectory: '.',
  dockerfile: { origin: 'generated', path: '.orkestr/Dockerfile', text: 'FROM scratch' },
  files: [],
  ...changes,
});

test('a plan of ordinary size stays unchanged', () => {
  const ordinary = plan({
    evidence: [{ subject: 'start', value: 'node .', from: 'package.json' }],
    warnings: ['a word'],
  });
  assert.deepEqual(boundedPlan(ordinary), ordinary);
});

test('evidence and warnings, which only people read, are cut', () => {
  const line = 'x'.repeat(100_000);
  const { evidence, warnings } = boundedPlan(
    plan({
      evidence: Array.from({ length: 200 }, () => ({ subject: 'start', value: line, from: line })),
      warnings: Array.from({ length: 200 }, () => line),
    }),
  );
  assert.deepEqual([evidence.length, warnings.length], [100, 100]);
  assert.deepEqual([evidence[0]?.value.length, evidence[0]?.from.length, warnings[0]?.length], [500, 500, 500]);
});

test('the error for an oversized plan names the start command, not the Dockerfile generated with it', () => {
  const startCommand = `node . ${'\u0001'.repeat(50_000)}`; // six bytes each as JSON
  const { dockerfile } = plan();
  const text = `FROM scratch\nCMD ${startCommand}`;
  assert.throws(() => boundedPlan(plan({ startCommand, dockerfile: { ...dockerfile, text } })), {
    code: 'ORK_MANIFEST_INVALID',
    message: /^The start command has 300009 bytes/,
  });
});
