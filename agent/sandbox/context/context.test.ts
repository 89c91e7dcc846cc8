import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { exec } from '../../lib/exec.ts';
import { type ContextEntry, type ContextFile, type ContextRequest, contextEntries } from './context.ts';

async function checkout(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ork-context-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** Entry name → text, or "-> target" for a link, or "/" for a folder, in their order. */
async function entries(
  directory: string,
  added: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of contextOf(directory, { Dockerfile: 'FROM scratch', ...added })) {
    assert.ok(!(entry.name in found), `${entry.name} is there twice`);
    if (entry.kind === 'folder') found[entry.name] = '/';
    else if (entry.kind === 'link') found[entry.name] = `-> ${entry.target}`;
    else found[entry.name] = await textOf(entry);
  }
  return found;
}

const contextOf = (
  directory: string,
  files: Readonly<Record<string, string>>,
  revision?: ContextRequest['revision'],
): AsyncGenerator<ContextEntry> =>
  contextEntries({
    directory,
    dockerfilePath: 'Dockerfile',
    rootDirectory: '.',
    files: new Map(Object.entries(files)),
    revision,
  });

const textOf = async ({ content }: ContextFile): Promise<string> =>
  'bytes' in content ? content.bytes.toString() : readFile(content.path, 'utf8');

test('files, empty files and folders are included, and added files replace those of the checkout', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a', empty: '', 'sub/b.txt': 'b', Dockerfile: 'FROM evil' });
  assert.deepEqual(await entries(folder, { '.orkestr/nginx.conf': 'conf' }), {
    'a.txt': 'a',
    empty: '',
    sub: '/',
    'sub/b.txt': 'b',
    Dockerfile: 'FROM scratch',
    '.orkestr': '/',
    '.orkestr/nginx.conf': 'conf',
  });
});

test('links stay links, and their targets are never read', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a' });
  await symlink('/etc/passwd', join(folder, 'out'));
  await symlink('/etc', join(folder, 'outdir'));
  const found = await entries(folder);
  assert.deepEqual([found.out, found.outdir, found['outdir/passwd']], ['-> /etc/passwd', '-> /etc', undefined]);
});

test('a link in the place of a folder of orkestr is left out', async (t) => {
  const folder = await checkout(t, { 'a.txt': 'a' });
  await symlink('/etc', join(folder, '.orkestr'));
  assert.deepEqual(await entries(folder, { '.orkestr/x': 'x' }), {
    'a.txt': 'a',
    Dockerfile: 'FROM scratch',
    '.orkestr': '/',
    '.orkestr/x': 'x',
  });
});

test('.dockerignore applies with its exceptions, but not to added files', async (t) => {
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
    logs: '/',
    'logs/keep': '/',
    'logs/keep/me': 'kept',
  });
});

test('the ignore file beside the Dockerfile takes precedence', async (t) => {
  const folder = await checkout(t, { '.dockerignore': 'a', 'Dockerfile.dockerignore': 'b', a: 'a', b: 'b' });
  const found = await entries(folder);
  assert.deepEqual([found.a, found.b], ['a', undefined]);
});

test('an added .dockerignore applies if the repository has none', async (t) => {
  const folder = await checkout(t, { 'node_modules/a': 'a', b: 'b' });
  const found = await entries(folder, { '.dockerignore': 'node_modules\n' });
  assert.deepEqual(Object.keys(found).sort(), ['.dockerignore', 'Dockerfile', 'b']);
});

test('a .dockerignore of more than 64 KiB is rejected', async (t) => {
  const folder = await checkout(t, { '.dockerignore': 'a\n'.repeat(40_000) });
  const refused = { code: 'ORK_MANIFEST_INVALID', message: '.dockerignore is larger than 65536 bytes.' };
  await assert.rejects(entries(folder), refused);
});

test('a link in place of .dockerignore is not followed', async (t) => {
  const folder = await checkout(t, { a: 'a', rules: 'a' });
  await symlink('rules', join(folder, '.dockerignore'));
  assert.equal((await entries(folder)).a, 'a');
});

test('pipes and other special files are left out', async (t) => {
  const folder = await checkout(t, { a: 'a' });
  await exec('mkfifo', [join(folder, 'pipe')], { timeoutMs: 5000 });
  assert.deepEqual(Object.keys(await entries(folder)).sort(), ['Dockerfile', 'a']);
});

test('an unreadable folder causes an error instead of an incomplete context', async () => {
  await assert.rejects(entries('/no/such/folder'), /ENOENT/);
});

test('every entry has the second of the commit as its time, so a checkout is the same each time', async (t) => {
  const directory = await checkout(t, { 'sub/a.txt': 'a' });
  await symlink('sub', join(directory, 'link'));
  const committedAt = new Date('2026-01-02T03:04:05Z');
  const times = async (commit: string, files: Record<string, string>): Promise<Map<string, bigint>> => {
    const found = new Map<string, bigint>();
    for await (const { name, modifiedAt } of contextOf(directory, files, { commit, committedAt })) {
      found.set(name, modifiedAt);
    }
    return found;
  };
  const first = await times('a', { Dockerfile: 'FROM scratch' });
  assert.deepEqual([...first.keys()], ['Dockerfile', 'link', 'sub', 'sub/a.txt']);
  for (const [name, time] of first) {
    assert.equal(time / 1_000_000_000n, BigInt(committedAt.getTime() / 1000), name);
  }
  assert.deepEqual(await times('a', { Dockerfile: 'FROM scratch' }), first);
  // Different content must look different to an engine that compares size and time.
  const amended = await times('b', { Dockerfile: 'FROM scratch' });
  assert.notEqual(amended.get('sub/a.txt'), first.get('sub/a.txt'));
  assert.notEqual((await times('a', { Dockerfile: 'FROM scratcH' })).get('Dockerfile'), first.get('Dockerfile'));
});

test('entries are sorted by bytes, a folder precedes its content, and modes are those of Git, whatever the umask', async (t) => {
  const folder = await checkout(t, { 'a/b': '', 'a.txt': '', 'a-b': '', '\u{ff5e}': '', '\u{1f600}': '', B: '' });
  await chmod(join(folder, 'a.txt'), 0o4711);
  await chmod(join(folder, 'B'), 0o600);
  await chmod(join(folder, 'a'), 0o700);
  const modes: [string, string][] = [];
  for await (const { name, mode } of contextOf(folder, { 'a/ours/x': 'x' })) modes.push([name, mode.toString(8)]);
  assert.deepEqual(
    modes.map(([name]) => name),
    ['B', 'a', 'a/b', 'a/ours', 'a/ours/x', 'a-b', 'a.txt', '\u{ff5e}', '\u{1f600}'],
  );
  const modeOf = (name: string): string | undefined => new Map(modes).get(name);
  assert.deepEqual(['a.txt', 'B', 'a'].map(modeOf), ['755', '644', '755']);
});
