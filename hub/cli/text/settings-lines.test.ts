import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../settings.ts';
import { settingsLines } from './settings-lines.ts';

const SETTINGS = {
  domains: [{ host: '*.example.com', pathPrefix: '/' }],
  rootDirectory: '.',
  limits: { memoryMiB: 512, cpus: 0.5 },
  edge: { compression: true, ratePerClient: { requests: 10 }, errorPages: { 503: '<h1>Closed</h1>' } },
};

test('every value is on its own line with its path; lists stay whole', () => {
  assert.deepEqual(settingsLines(SETTINGS), [
    ['domains', '[{"host":"*.example.com","pathPrefix":"/"}]'],
    ['rootDirectory', '.'],
    ['limits.memoryMiB', '512'],
    ['limits.cpus', '0.5'],
    ['edge.compression', 'true'],
    ['edge.ratePerClient.requests', '10'],
    ['edge.errorPages.503', '<h1>Closed</h1>'],
  ]);
});

test('the shown lines can be passed back to --setting', () => {
  const setting = settingsLines(SETTINGS).map(([path, value]) => `${path}=${value}`);
  assert.deepEqual(settingsOf({ setting }), SETTINGS);
});
