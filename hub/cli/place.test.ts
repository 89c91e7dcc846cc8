import assert from 'node:assert/strict';
import { test } from 'node:test';
import { projectOfRemote } from './place.ts';

const HUB = 'https://hub.example.com';

test('the project is read from a git remote of this hub, with or without user and .git', () => {
  assert.equal(projectOfRemote('https://hub.example.com/git/shop.git', HUB), 'shop');
  assert.equal(projectOfRemote('https://x:secret@hub.example.com/git/shop', HUB), 'shop');
  assert.equal(projectOfRemote('https://hub.example.com/under/git/shop.git', `${HUB}/under`), 'shop');
});

test('a remote with another hub, path or form yields no project', () => {
  for (const remote of [
    'https://other.example.com/git/shop.git',
    'https://hub.example.com:8443/git/shop.git',
    'https://hub.example.com/shop.git',
    'https://hub.example.com/git/../x.git',
    'https://hub.example.com/git/Shop_1.git',
    'git@hub.example.com:shop.git',
    '',
  ]) {
    assert.equal(projectOfRemote(remote, HUB), undefined, remote);
  }
});
