import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrkestrError } from '../../protocol/errors.ts';
import { BaseImages, imageVersion } from '../detect/base-images.ts';
import { RUNTIME } from '../detect/detectors/node.ts';
import { CHOICES, chooseRecipe } from './choose.ts';

const NAMES = BaseImages.parse({});

const chosen = (wanted: string, names: Record<string, string> = NAMES): string => {
  const { recipe, name } = chooseRecipe(wanted, names);
  return `${recipe.kind} ${recipe.version ?? '-'} as ${name}`;
};
const refusal = (wanted: string, names: Record<string, string> = NAMES): OrkestrError => {
  try {
    return assert.fail(chosen(wanted, names));
  } catch (error) {
    return error as OrkestrError;
  }
};

test('a kind gets the version in its image name, and another version gets a name of its own', () => {
  assert.equal(chosen('node'), 'node 26 as node:26-trixie-slim');
  assert.equal(chosen('node:24'), 'node 24 as node:24-trixie-slim');
  assert.equal(chosen('python'), 'python - as python:3.13-slim-trixie');
});

test('a host with its own name for a kind gets the version in that name', () => {
  assert.equal(chosen('node', { node: 'mirror.example/node:22.23-slim' }), 'node 22 as mirror.example/node:22.23-slim');
  assert.equal(chosen('node', { node: 'mirror.example/node' }), 'node 26 as mirror.example/node');
  assert.match(refusal('node', { node: 'node:20-slim' }).message, /"node:20"/);
  assert.match(
    refusal('node:24', { node: 'mirror.example/node' }).message,
    /mirror\.example\/node, has no version in its tag/,
  );
});

test('a kind or version without a recipe is refused with an error that lists the choices', () => {
  for (const wanted of ['cobol', 'node:20', 'python:3.12', 'node:']) {
    const { code, message } = refusal(wanted);
    assert.equal(code, 'ORK_BASE_IMAGE', wanted);
    assert.match(message, /debian, node, node:24, node:22, python/);
  }
});

test('every Node.js line that gets security fixes has a recipe, and the first of them is the default', () => {
  const lines = CHOICES.filter((choice) => choice.startsWith('node')).map(
    (choice) => chooseRecipe(choice, NAMES).recipe.version,
  );
  assert.deepEqual(lines, RUNTIME.supported);
  assert.equal(imageVersion(NAMES.node), lines[0]);
});
