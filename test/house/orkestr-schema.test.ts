import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCHEMA_FILE, schemaDocument } from './orkestr-schema.ts';
import { readSource } from './sources.ts';

test('the published schema of orkestr.json is the one that the code checks', () => {
  const same = JSON.stringify(JSON.parse(readSource(SCHEMA_FILE))) === JSON.stringify(JSON.parse(schemaDocument()));
  assert.ok(same, 'run: node test/house/orkestr-schema.ts');
});
