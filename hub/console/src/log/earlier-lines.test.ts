import assert from 'node:assert/strict';
import { test } from 'node:test';
import { earlierLines } from './earlier-lines.ts';

test('lines that were dropped from the page are counted, with how many the download still has', () => {
  assert.equal(earlierLines(1), '1 earlier line is in the download.');
  assert.equal(earlierLines(2000), '2,000 earlier lines are in the download.');
  const ofApp = '12,000 earlier lines left this page. The download has the newest 10,000 lines.';
  assert.equal(earlierLines(12_000, 10_000), ofApp);
});
