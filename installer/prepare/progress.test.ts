import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProgress } from './progress.mjs';

test('a stage prints what it does and ends with its duration and its result', async () => {
  let text = '';
  let now = 0;
  const progress = makeProgress({ write: (part) => (text += part) }, () => now);
  const answer = await progress.stage('console', (say) => {
    say('vite build');
    now = 2340;
    return 'built';
  });
  assert.equal(answer, 'built');
  assert.equal(text, '  console: vite build\n✓ console                  2.3 s  built\n');
});

test('a failed stage is marked, and its error is rethrown', async () => {
  let text = '';
  const progress = makeProgress({ write: (part) => (text += part) }, () => 0);
  await assert.rejects(
    progress.stage('engine', () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(text, '✗ engine                   0.0 s\n');
});
