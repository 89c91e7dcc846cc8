/** The generated nginx configuration, queried over HTTP: which file a path gets, and how long it may be cached. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { writeStatic } from '../../agent/detect/dockerfiles/static.ts';
import type { StaticRequest } from '../../agent/detect/dockerfiles/static.ts';
import { freePort } from '../harness/free-port.ts';
import { until } from '../harness/until.ts';

const FOREVER = 'public, max-age=31536000, immutable';

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly kept: string | null;
  readonly location: string | null;
  readonly headers: Headers;
}
type Ask = (path: string, accepts?: string) => Promise<Answer>;

/** A site with these files, each of which contains its own path, compressed as its name says. */
async function serve(
  t: TestContext,
  files: readonly string[],
  output: Pick<StaticRequest, 'singlePage'> & Partial<StaticRequest>,
): Promise<Ask> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-site-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const file of files) {
    mkdirSync(join(folder, 'www', dirname(file)), { recursive: true });
    writeFileSync(join(folder, 'www', file), contentOf(file));
  }
  const port = await freePort();
  const site = writeStatic({ base: 'nginx:1', port, source: { stage: null, folder: '.' }, ...output });
  const conf = join(folder, 'nginx.conf');
  const text = site.files.map((file) => file.text).join('');
  writeFileSync(conf, text.replaceAll('/srv/www', join(folder, 'www')).replaceAll('/tmp/nginx', join(folder, 'nginx')));
  // The master process runs as root here, and its worker must be able to read the folder as well.
  const server = spawn('nginx', ['-e', 'stderr', '-c', conf, '-g', 'user root;'], { stdio: 'ignore' });
  t.after(() => ended(server));
  const ask: Ask = async (path, accepts = 'identity') => {
    const headersOf = { 'accept-encoding': accepts };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', headers: headersOf });
    const { status, headers } = answer;
    return {
      status,
      headers,
      text: await answer.text(),
      kept: headers.get('cache-control'),
      location: headers.get('location'),
    };
  };
  await until(
    () =>
      ask('/').then(
        () => true,
        () => false, // it is starting
      ),
    'nginx answers',
  );
  return ask;
}

function contentOf(file: string): string | Buffer {
  if (file.endsWith('.br')) return brotliCompressSync(file);
  return file.endsWith('.gz') ? gzipSync(file) : file;
}

async function ended(server: ChildProcess): Promise<void> {
  const exit = new Promise((done) => server.once('exit', done));
  if (server.kill('SIGTERM')) await exit;
}

test('a page takes precedence over a folder of its name, and a folder with an index page gets a redirect', async (t) => {
  const ask = await serve(
    t,
    ['index.html', '404.html', 'blog.html', 'blog/first.html', 'docs/index.html', 'img/a.png'],
    { singlePage: false },
  );
  const files = { '/': 'index.html', '/blog': 'blog.html', '/blog/': 'blog.html', '/blog/first': 'blog/first.html' };
  for (const [path, file] of Object.entries({ ...files, '/docs/': 'docs/index.html', '/img/a.png': 'img/a.png' })) {
    const { status, text, kept } = await ask(path);
    assert.deepEqual([status, text, kept], [200, file, 'no-cache'], path);
  }
  const { status, location } = await ask('/docs?a=1');
  assert.deepEqual([status, location], [301, '/docs/?a=1']);
  for (const path of ['/img/', '/none', '/none/']) {
    const missing = await ask(path);
    assert.deepEqual([missing.status, missing.text], [404, '404.html'], path);
  }
});

test('unknown paths of a single-page site get its page, or the fallback that its framework names', async (t) => {
  const files = ['index.html', '200.html', 'img/a.png'];
  for (const [fallback, page] of Object.entries({
    'index.html': 'index.html',
    '200.html': '200.html',
    'none.html': 'index.html',
  })) {
    const ask = await serve(t, files, { singlePage: true, fallback });
    for (const path of ['/orders/17', '/orders/', '/img/']) {
      const { status, text } = await ask(path);
      assert.deepEqual([status, text], [200, page], path);
    }
  }
});

test('a single page of another name is the front page, too', async (t) => {
  const ask = await serve(t, ['200.html'], { singlePage: true, fallback: '200.html' });
  assert.deepEqual([(await ask('/')).status, (await ask('/')).text], [200, '200.html']);
});

test('a missing hashed script yields 404 in any folder, not the page of a single-page site', async (t) => {
  const ask = await serve(t, ['index.html', 'js/app.1a2b3c4d.js'], { singlePage: true });
  for (const path of ['/repo/static/js/main.1a2b3c4d.js', '/x/index-BfX3a9_k.css', '/main.1a2b3c4d.chunk.mjs'])
    assert.equal((await ask(path)).status, 404, path);
  assert.equal((await ask('/js/app.1a2b3c4d.js')).text, 'js/app.1a2b3c4d.js');
  for (const path of ['/packages/chart.js', '/files/report.1a2b3c4d.pdf', '/a/main.js'])
    assert.equal((await ask(path)).text, 'index.html', path);
});

test('in a folder with mixed files only names with a hash are cached forever', async (t) => {
  const hashed = [
    'index-BfX3a9_k.js',
    'main.1a2b3c4d.js',
    'js/17896441.5e33d8a8.js',
    'app.B-xT3_9q.lean.js',
    '1a2b3c4d.css',
  ];
  const others = [
    'logo.png',
    'my-background.png',
    'photo-20240101.jpg',
    'logo-1024x768.png',
    'my-sunshine.png',
    'a-IMG_0012.png',
  ];
  const files = [...hashed, ...others].map((name) => `assets/${name}`);
  const ask = await serve(t, ['index.html', ...files], { singlePage: true, partlyHashed: 'assets' });
  for (const name of hashed) assert.equal((await ask(`/assets/${name}`)).kept, FOREVER, name);
  for (const name of others) assert.equal((await ask(`/assets/${name}`)).kept, 'no-cache', name);
  assert.equal((await ask('/assets/gone-BfX3a9_k.js')).status, 404);
});

test('a folder that only the framework writes to is cached forever as a whole', async (t) => {
  const ask = await serve(t, ['index.html', '_next/static/a.js'], { singlePage: false, hashed: '_next/static' });
  assert.equal((await ask('/_next/static/a.js')).kept, FOREVER);
});

test('precompressed files are served to clients that accept them, with type and lifetime of the original', async (t) => {
  const plain = ['app.mjs', 'app.webmanifest', 'app.css', 'app.wasm', 'data/a b.json', 'index-BfX3a9_k.css'].map(
    (name) => `assets/${name}`,
  );
  const files = ['index.html', '.hidden.js', '.hidden.js.br', 'only.js', ...plain];
  const compressed = plain.flatMap((name) => [`${name}.br`, `${name}.gz`]);
  const ask = await serve(t, [...files, ...compressed], { singlePage: true, partlyHashed: 'assets' });
  for (const file of plain) {
    const path = `/${encodeURI(file)}`;
    const whole = await ask(path);
    assert.deepEqual([whole.text, whole.headers.get('content-encoding')], [file, null]);
    for (const [accepts, encoding] of [
      ['gzip, deflate, br, zstd', 'br'],
      ['br;q=0.5', 'br'],
      ['gzip', 'gzip'],
      ['gzip, br;q=0', 'gzip'],
      ['gzip, brotli', 'gzip'],
    ] as const) {
      const { status, text, kept, headers } = await ask(path, accepts);
      const got = [status, text, headers.get('content-encoding')];
      assert.deepEqual(got, [200, `${file}${encoding === 'br' ? '.br' : '.gz'}`, encoding], `${file} for ${accepts}`);
      assert.match(headers.get('vary') ?? '', /^Accept-Encoding$/);
      assert.equal(kept, whole.kept);
      assert.equal(headers.get('content-type')?.split(';')[0], whole.headers.get('content-type')?.split(';')[0], file);
    }
  }
  assert.equal((await ask('/only.js', 'br')).text, 'only.js');
  assert.equal((await ask('/.hidden.js', 'br')).status, 404);
  assert.equal((await ask('/-br/assets/app.mjs')).headers.get('content-encoding'), null);
  assert.equal((await ask('/assets/app.mjs')).headers.get('content-type'), 'text/javascript');
  const asked = await ask('/assets/app.mjs.br', 'br');
  assert.deepEqual(
    [asked.status, asked.headers.get('content-encoding')],
    [200, null],
    'a file that is asked for by that name',
  );
  const etag = (await ask('/assets/app.mjs', 'br')).headers.get('etag');
  assert.notEqual(etag, (await ask('/assets/app.mjs')).headers.get('etag'));
});
