import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../../protocol/steps.ts';
import { nameParts } from '../handoff/image-name.ts';
import { compareRebuild, describeRebuild } from './rebuild.ts';

const OF = '0190a000-0000-7000-8000-000000000001';
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;

const image = (changes: Partial<Image> = {}): Image => ({
  id: digest('0'),
  reference: 'r',
  bytes: 1,
  baseImages: { 'node:24': digest('a') },
  peakMemoryBytes: null,
  exposedPorts: [3000],
  hasHealthcheck: false,
  layers: [digest('1'), digest('2'), digest('3')],
  ...changes,
});

const MADE_BY = ['Imported from -', 'RUN /bin/sh -c npm ci # buildkit', 'COPY . . # buildkit'];
const compare = (changes: Partial<Image>, kept: Partial<Image> = {}) =>
  compareRebuild(OF, image(kept), image(changes), MADE_BY);

test('an image with the same layers is identical, even if its id differs', () => {
  const rebuild = compare({ id: digest('f'), reference: 'other' });
  assert.deepEqual(rebuild, { of: OF, identical: true, differences: [] });
  assert.deepEqual(describeRebuild(rebuild), [`identical to the image of deployment ${OF}`]);
});

test('each layer that differs is reported with its command', () => {
  const { identical, differences } = compare({ layers: [digest('1'), digest('8'), digest('9')] });
  assert.deepEqual([identical, differences], [false, ['layer 2 of 3: RUN npm ci', 'layer 3 of 3: COPY . .']]);
});

test('a changed base image is reported with both versions, and one that is no longer used as removed', () => {
  assert.deepEqual(compare({ baseImages: { 'node:24': digest('b') } }).differences, [
    'base image node:24: was sha256:aaaaaaaaaaaa, now sha256:bbbbbbbbbbbb',
  ]);
  assert.deepEqual(compare({ baseImages: {} }).differences, ['base image node:24: was sha256:aaaaaaaaaaaa, now none']);
});

test('additional layers, other ports and a health check are reported', () => {
  const { differences } = compare({
    layers: [...(image().layers ?? []), digest('4')],
    exposedPorts: [],
    hasHealthcheck: true,
  });
  assert.deepEqual(differences, ['4 layers, was 3', 'exposed ports: was 3000, now none', 'the HEALTHCHECK']);
});

test('a release without recorded layers is not called identical', () => {
  const { layers: _, ...older } = image();
  const { identical, differences } = compareRebuild(OF, older, image(), []);
  assert.equal(identical, false);
  assert.match(differences.join(), /did not keep them/);
});

test('a name is split into repository and tag', () => {
  const parts = (name: string) => Object.values(nameParts(name)).join(' ');
  assert.equal(parts('node'), 'node latest');
  assert.equal(parts('node:24-slim'), 'node 24-slim');
  assert.equal(parts('localhost:5000/a/node'), 'localhost:5000/a/node latest');
  assert.equal(parts('localhost:5000/node:24'), 'localhost:5000/node 24');
});
