import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { exec } from '../lib/exec.ts';
import { packContext } from './context.ts';

async function checkout(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ork-context-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** Entry name → text, or "-> target" of a link, or "/" of a folder. */
async function entries(
  directory: string,
  added: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => void chunks.push(chunk as Buffer));
    stream.on('end', () => {
      const name = header.name.replace(/\/$/, '');
      assert.ok(!(name in found), `${name} is there twice`);
      if (header.type === 'directory') found[name] = '/';
      else found[name] = header.type === 'symlink' ? `-> ${header.linkname}` : Buffer.concat(chunks).toString();
      next();
    });
  });
  const files = new Map(Object.entries({ Dockerfile: 'FROM scratch', ...added }));
  await pipeline(packContext({ directory, dockerfilePath: 'Dockerfile', files }), reader);
  return found;
}

test('files, empty files and folders are packed, and what is put in replaces what is there', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a', empty: '', 'sub/b.txt': 'b', Dockerfile: 'FROM evil' });
  assert.deepEqual(await entries(folder, { '.orkestr/nginx.conf': 'conf' }), {
    'a.txt': 'a',
    empty: '',
    sub: '/',
    'sub/b.txt': 'b',
    Dockerfile: 'FROM scratch',
    '.orkestr/nginx.conf': 'conf',
  });
});

test('links are packed as links: what they point to is never read', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a' });
  await symlink('/etc/passwd', join(folder, 'out'));
  await symlink('/etc', join(folder, 'outdir'));
  const found = await entries(folder);
  assert.deepEqual([found.out, found.outdir, found['outdir/passwd']], ['-> /etc/passwd', '-> /etc', undefined]);
});

test('a link where a folder of ours goes is left out', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a' });
  await symlink('/etc', join(folder, '.orkestr'));
  assert.deepEqual(await entries(folder, { '.orkestr/x': 'x' }), {
    'a.txt': 'a',
    Dockerfile: 'FROM scratch',
    '.orkestr/x': 'x',
  });
});

test('.dockerignore is honoured with its exceptions, but not for what is put in', async (t) => {
  const folder = await checkout(t, {
    '.dockerignore': '*\n!src\nsrc/*.log\nlogs/**\n!logs/keep/me\n',
    'a.txt': 'a',
    'src/b.js': 'b',
    'src/c.log': 'c',
    'logs/keep/me': 'kept',
    'logs/keep/not': 'x',
  });
  assert.deepEqual(await entries(folder), {
    Dockerfile: 'FROM scratch',
    src: '/',
    'src/b.js': 'b',
    'logs/keep/me': 'kept',
  });
});

test('the ignore file beside the Dockerfile goes first', async (t) => {
  const folder = await checkout(t, { '.dockerignore': 'a', 'Dockerfile.dockerignore': 'b', a: 'a', b: 'b' });
  const found = await entries(folder);
  assert.deepEqual([found.a, found.b], ['a', undefined]);
});

test('a .dockerignore that is put in holds, since the repository has none', async (t) => {
  const folder = await checkout(t, { 'node_modules/a': 'a', b: 'b' });
  const found = await entries(folder, { '.dockerignore': 'node_modules\n' });
  assert.deepEqual(Object.keys(found).sort(), ['.dockerignore', 'Dockerfile', 'b']);
});

test('a link in place of .dockerignore is not followed', async (t) => {
  const folder = await checkout(t, { a: 'a', rules: 'a' });
  await symlink('rules', join(folder, '.dockerignore'));
  assert.equal((await entries(folder)).a, 'a');
});

test('pipes and other special files stay out', async (t) => {
  const folder = await checkout(t, { a: 'a' });
  await exec('mkfifo', [join(folder, 'pipe')], { timeoutMs: 5000 });
  assert.deepEqual(Object.keys(await entries(folder)).sort(), ['Dockerfile', 'a']);
});

test('a folder that cannot be read breaks the stream instead of giving half of it', async () => {
  await assert.rejects(entries('/no/such/folder'), /ENOENT/);
});

test('every entry has the time that is asked for, so that a checkout is the same each time', async (t) => {
  const directory = await checkout(t, { 'sub/a.txt': 'a' });
  await symlink('sub', join(directory, 'link'));
  const modifiedAt = new Date('2026-01-02T03:04:05Z');
  const times: Record<string, string> = {};
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    times[header.name.replace(/\/$/, '')] = header.mtime?.toISOString() ?? 'none';
    stream.on('end', next).resume();
  });
  const files = new Map([['Dockerfile', 'FROM scratch']]);
  await pipeline(packContext({ directory, dockerfilePath: 'Dockerfile', files, modifiedAt }), reader);
  const at = modifiedAt.toISOString();
  assert.deepEqual(times, { Dockerfile: at, link: at, sub: at, 'sub/a.txt': at });
});
