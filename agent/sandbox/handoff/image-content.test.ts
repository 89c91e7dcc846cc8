import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentOf } from './image-content.ts';

const facts = { Created: '2026-11-28T00:00:00Z', Architecture: 'amd64', Os: 'linux', RootFS: { Layers: ['sha256:a'] } };

test('an image is equal on two engines that represent absent settings in different ways', () => {
  const bare = { ...facts, Config: { Env: ['A=1'], Cmd: null, Entrypoint: [], User: '' } };
  const other = { ...facts, Config: { Env: ['A=1'], WorkingDir: '', OnBuild: null } };
  assert.equal(contentOf(bare as never), contentOf(other as never));
  assert.equal(contentOf({ ...facts, Config: null }), contentOf(facts));
});

test('another layer, time of creation or setting makes another image', () => {
  const one = contentOf({ ...facts, Config: { Env: ['A=1'] } });
  for (const other of [
    { ...facts, Config: { Env: ['A=2'] } },
    { ...facts, Config: { Env: ['A=1'], User: '10001' } },
    { ...facts, Created: '2026-11-29T00:00:00Z', Config: { Env: ['A=1'] } },
    { ...facts, RootFS: { Layers: ['sha256:a', 'sha256:b'] }, Config: { Env: ['A=1'] } },
  ]) {
    assert.notEqual(contentOf(other), one);
  }
});
