import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { Project, ProjectInShort } from './schemas.ts';
import { startTestApi, type TestApi } from './test-api.ts';

const deploy = (api: TestApi, environmentId: string, status: 'superseded' | 'live' | 'failed', generation: number) =>
  api.deps.db
    .insertInto('deployment')
    .values({
      id: randomUUIDv7(),
      environment_id: environmentId,
      kind: 'deploy',
      trigger: 'manual',
      status,
      generation,
      commit: 'a'.repeat(40),
      branch: 'main',
      env_version: 0,
      variables: 'current',
      cancel_requested: 0,
      created_at: api.deps.clock.now().toISOString(),
    })
    .execute();

test('the overview shows each environment as the list of projects does, but without its settings', async (t) => {
  const api = await startTestApi(t, { ORKESTR_APPS_URL: 'https://apps.example.com' });
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  for (const slug of ['shop', 'blog']) await api.call(token, 'POST', '/projects', { slug });
  const settings = { domains: [{ host: '*.example.com' }, { host: 'example.com', pathPrefix: '/shop' }] };
  const staging = await api.call(token, 'POST', '/projects/shop/environments', { slug: 'staging', settings });
  const { id } = staging.json;
  for (const [index, status] of (['superseded', 'live', 'failed'] as const).entries()) {
    await deploy(api, id, status, index + 1);
  }
  await api.deps.db.updateTable('environment').set({ generation: 3 }).where('id', '=', id).execute();

  const whole = Project.array().parse((await api.call(token, 'GET', '/projects')).json);
  const { json } = await api.call(token, 'GET', '/overview');
  assert.deepEqual(json, ProjectInShort.array().parse(whole));
  const [, shop] = ProjectInShort.array().parse(json);
  assert.deepEqual(
    shop?.environments.map(({ slug, latestDeployment }) => [slug, latestDeployment?.status]),
    [
      ['production', undefined],
      ['staging', 'failed'],
    ],
  );
  assert.deepEqual(shop?.environments[1]?.urls, ['https://*.example.com', 'https://example.com/shop']);
});
