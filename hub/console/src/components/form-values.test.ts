import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formValues } from './form-values.ts';

test('a trailing newline is not part of a form value; inner newlines are', () => {
  const data = new FormData();
  data.set('name', 'KEY');
  data.set('value', 'one\ntwo\n\n');
  const fields = [{ name: 'name' }, { name: 'value', kind: 'lines' }, { name: 'more' }] as const;
  assert.deepEqual(formValues(fields, data), { name: 'KEY', value: 'one\ntwo\n', more: '' });
  data.set('value', 'swordfish\r\n');
  assert.equal(formValues(fields, data)['value'], 'swordfish');
});
