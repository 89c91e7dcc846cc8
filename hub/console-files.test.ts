import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startTestApi } from './api/test-api.ts';

function builtConsole(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-console-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>console</title>');
  writeFileSync(join(folder, 'assets', 'index-abc.js'), 'export {};');
  return folder;
}

test('the console is served, with its start page for each of its own paths', async (t) => {
  const api = await startTestApi(t, {}, { consoleFolder: builtConsole(t) });
  for (const path of ['/', '/projects/shop', '/deployments/1?step=build']) {
    const page = await api.fetch({ path });
    assert.equal(page.status, 200, path);
    assert.match(page.text, /<title>console/, path);
    assert.equal(page.headers['cache-control'], 'no-cache', path);
    const policy = String(page.headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.ok(!/unsafe|\*/.test(policy));
  }
  const asset = await api.fetch({ path: '/assets/index-abc.js' });
  assert.match(String(asset.headers['cache-control']), /immutable/);
  assert.match(String(asset.headers['content-type']), /javascript/);
});

test('paths outside the console are not answered with its page', async (t) => {
  const api = await startTestApi(t, {}, { consoleFolder: builtConsole(t) });
  for (const path of ['/api/none', '/assets/gone.js', '/agent', '/healthz/x']) {
    const answer = await api.fetch({ path });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json.code, 'ORK_NOT_FOUND', path);
  }
  assert.equal((await api.fetch({ method: 'POST', path: '/projects' })).status, 404);
  assert.equal((await api.fetch({ path: '/git/shop.git/info/refs' })).text, 'git /git/shop.git/info/refs');
});

test("no path leads out of the console's folder", async (t) => {
  const api = await startTestApi(t, {}, { consoleFolder: join(builtConsole(t), 'assets', '..') });
  for (const path of ['/..%2f..%2fetc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/assets/..%2f..%2f..%2fetc/passwd']) {
    const answer = await api.fetch({ path });
    assert.ok(!answer.text.includes('root:'), path);
  }
});

test('without a built console the page says how to build it', async (t) => {
  const api = await startTestApi(t);
  const page = await api.fetch({ path: '/' });
  assert.equal(page.status, 200);
  assert.match(page.text, /vite build/);
});
