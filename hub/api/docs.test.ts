import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestApi } from './test-api.ts';

test('the pages that messages name are served, and no other files', async (t) => {
  const api = await startTestApi(t, {}, { docsFolder: join(import.meta.dirname, '..', '..', 'docs') });
  const page = await api.fetch({ path: '/docs/notifications.md' });
  assert.equal(page.headers['content-type'], 'text/plain; charset=utf-8');
  assert.match(page.text, /^# /);
  assert.ok((await api.fetch({ path: '/docs' })).text.split('\n').includes('/docs/notifications.md'));
  for (const path of ['/docs/none.md', '/docs/adr/README.md', '/docs/..%2fpackage.json', '/docs/']) {
    assert.equal((await api.fetch({ path })).status, 404, path);
  }
});

test('a hub without its docs pages answers 404', async (t) => {
  const api = await startTestApi(t);
  assert.equal((await api.fetch({ path: '/docs/notifications.md' })).status, 404);
});
