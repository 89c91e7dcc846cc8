import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { imageVersion, withVersion } from './base-images.ts';

test('the version of an image comes from its tag, if it has one', () => {
  assert.equal(imageVersion('node:26-trixie-slim'), '26');
  assert.equal(imageVersion('mirror.example:5000/library/python:3.11-slim'), '3.11');
  assert.equal(imageVersion('node'), null);
  assert.equal(imageVersion('node@sha256:abc'), null);
});

test('an image of another version has the same name with another number', () => {
  assert.equal(withVersion('node:26-trixie-slim', '24'), 'node:24-trixie-slim');
  assert.equal(withVersion('mirror.example:5000/node:26', '22'), 'mirror.example:5000/node:22');
});
