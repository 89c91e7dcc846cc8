import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { MAX_ENTRIES, MAX_FILE_BYTES, openRepository } from './repository.ts';
import { RepositoryFolder } from './test-repository.ts';

let folder: RepositoryFolder;
let outside: string;
before(async () => {
  folder = await RepositoryFolder.make();
  outside = await mkdtemp(join(tmpdir(), 'orkestr-outside-'));
  await writeFile(join(outside, 'package.json'), '{"scripts":{"start":"node stolen.js"}}');
});
after(async () => {
  await folder.remove();
  await rm(outside, { recursive: true });
});

const at = (path: string): string => join(folder.path, path);

describe('reading a checkout', () => {
  test('rejects a link that leads out, whatever the operation', async () => {
    folder.replaceFiles({});
    await symlink(join(outside, 'package.json'), at('package.json'));
    await symlink(outside, at('cmd'));
    const view = openRepository(folder.path);
    const unsafe = { code: 'ORK_REPO_UNSAFE' };
    await assert.rejects(view.text('package.json'), unsafe);
    await assert.rejects(view.has('package.json'), unsafe);
    await assert.rejects(view.head('package.json', 10), unsafe);
    await assert.rejects(view.entries('cmd'), unsafe);
    await assert.rejects(view.text('cmd/package.json'), unsafe);
    await assert.rejects(folder.planAsItIs(), unsafe);
  });

  test('rejects a relative path out of the tree, too', async () => {
    folder.replaceFiles({});
    await assert.rejects(openRepository(folder.path).text(`../${outside.split('/').at(-1)}/package.json`), {
      code: 'ORK_REPO_UNSAFE',
    });
  });

  test('follows a link within the tree, and treats a circular or dangling one as absent', async () => {
    folder.replaceFiles({ 'real.txt': 'here' });
    await symlink('real.txt', at('link'));
    await symlink('circle', at('circle'));
    await symlink('gone', at('dangling'));
    const view = openRepository(folder.path);
    assert.equal(await view.text('link'), 'here');
    assert.equal(await view.text('circle'), null);
    assert.equal(await view.has('dangling'), false);
  });

  test('treats folders, pipes and paths below a file as absent', { timeout: 60_000 }, async () => {
    folder.replaceFiles({ file: '' });
    await mkdir(at('package.json'));
    await promisify(execFile)('mkfifo', ['--', at('Dockerfile')]);
    const view = openRepository(folder.path);
    assert.equal(await view.text('package.json'), null);
    assert.equal(await view.text('Dockerfile'), null);
    assert.equal(await view.text('file/package.json'), null);
  });

  test('rejects a huge file by its size, but can still read its head', async () => {
    folder.replaceFiles({ 'package.json': '{}', 'yarn.lock': '# yarn' });
    await truncate(at('package.json'), 2 ** 40);
    await truncate(at('yarn.lock'), 2 ** 40);
    const view = openRepository(folder.path);
    await assert.rejects(view.text('package.json'), { code: 'ORK_MANIFEST_INVALID' });
    assert.equal(await view.head('yarn.lock', 6), '# yarn');
  });

  test('reads a file of the maximum size', async () => {
    folder.replaceFiles({ 'big.txt': 'x'.repeat(MAX_FILE_BYTES) });
    assert.equal((await openRepository(folder.path).text('big.txt'))?.length, MAX_FILE_BYTES);
  });

  test('lists only a limited number of entries of a large folder', async () => {
    folder.replaceFiles({});
    for (let index = 0; index < MAX_ENTRIES + 100; index += 1) await writeFile(at(`f${index}`), '');
    assert.equal((await openRepository(folder.path).entries('.')).length, MAX_ENTRIES);
  });

  test('copes with a very deep tree', async () => {
    folder.replaceFiles({ 'index.html': '' });
    await mkdir(at('d/'.repeat(1000)), { recursive: true });
    assert.equal((await folder.planAsItIs()).detector, 'static');
  });
});
