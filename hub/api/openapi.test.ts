import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from './test-api.ts';

test('the OpenAPI document has a summary, security and an error response for each route', async (t) => {
  const api = await startTestApi(t);
  const answer = await api.fetch({ path: '/api/openapi.json' });
  const document = answer.json;
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual(Object.keys(document.components.securitySchemes), ['token', 'session']);
  const operations = Object.entries<Record<string, Record<string, unknown>>>(document.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );
  assert.ok(operations.some(({ name }) => name === 'post /api/v1/projects'));
  for (const { name, operation } of operations) {
    assert.ok(operation.summary, `${name} says what it does`);
    assert.ok(Array.isArray(operation.security), `${name} says who may`);
    assert.ok((operation.responses as { default?: object }).default, `${name} says how it fails`);
  }
  assert.ok(!JSON.stringify(document.paths).includes('"/*"'), 'pages and files are no part of it');
});

test('every reference in the OpenAPI document resolves', async (t) => {
  const api = await startTestApi(t);
  const answer = await api.fetch({ path: '/api/openapi.json' });
  const references = [...answer.text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? '');
  assert.ok(references.length > 0);
  for (const reference of new Set(references)) {
    let place = answer.json;
    for (const key of reference.split('/')) place = place?.[key];
    assert.equal(typeof place, 'object', reference);
  }
});

test('the schema of orkestr.json is served for editors, without a token', async (t) => {
  const api = await startTestApi(t);
  const { json } = await api.fetch({ path: '/api/orkestr.schema.json' });
  assert.deepEqual([json.type, json.additionalProperties], ['object', false]);
  assert.ok('startCommand' in json.properties);
});
