import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestApi } from './test-api.ts';

test('the CLI can be downloaded without a token, as a file with its name', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-cli-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const cliFile = join(folder, 'orkestr.cjs');
  writeFileSync(cliFile, '#!/usr/bin/env node\n');
  const api = await startTestApi(t, {}, { cliFile });
  const { status, text, headers } = await api.fetch({ path: '/cli' });
  assert.deepEqual([status, text], [200, '#!/usr/bin/env node\n']);
  assert.equal(headers['content-disposition'], 'attachment; filename="orkestr"');
});

test('a hub that runs from source says where the CLI is', async (t) => {
  const api = await startTestApi(t);
  const { status, json } = await api.fetch({ path: '/cli' });
  assert.equal(status, 404);
  assert.match(json.detail, /hub\/cli\/main\.ts/);
});
