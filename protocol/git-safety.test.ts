import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { CLOSED_PORT } from '../test/harness/free-port.ts';
import { explainGitFailure, gitConfigFile, gitEnvironment, hardenedGitConfig, writePrivateFile } from './git-safety.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'orkestr-git-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

function git(env: Record<string, string>, cwd: string, ...argv: string[]): Promise<{ ok: boolean; out: string }> {
  return new Promise((resolve) => {
    execFile('git', argv, { env, cwd, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, out: stdout + stderr }),
    );
  });
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function hardened(home: string, options: Parameters<typeof hardenedGitConfig>[0] = { allowHttp: true }) {
  writePrivateFile(gitConfigFile(home), hardenedGitConfig(options));
  return gitEnvironment({ home, allowHttp: options.allowHttp ?? false });
}

test('the environment of git contains only the given values and nothing else of the parent', () => {
  const env = gitEnvironment({ home: '/nowhere', allowHttp: false, caFile: '/ca.pem' });
  assert.deepEqual(Object.keys(env).toSorted(), [
    'GIT_ALLOW_PROTOCOL',
    'GIT_ATTR_NOSYSTEM',
    'GIT_CONFIG_GLOBAL',
    'GIT_CONFIG_NOSYSTEM',
    'GIT_PROTOCOL_FROM_USER',
    'GIT_SSL_CAINFO',
    'GIT_TERMINAL_PROMPT',
    'HOME',
    'LC_ALL',
    'PATH',
  ]);
  assert.equal(env.GIT_ALLOW_PROTOCOL, 'https');
});

test('a git without GIT_CONFIG_GLOBAL, as in Debian 11, reads the same config', (t) => {
  const home = folder(t);
  const { GIT_CONFIG_GLOBAL: _newer, ...env } = hardened(home);
  const hooks = execFileSync('git', ['config', 'core.hooksPath'], { env, cwd: home, encoding: 'utf8' });
  assert.equal(hooks.trim(), '/dev/null');
});

test('git reads every line of the config, and credentials go to their URL only', (t) => {
  const home = folder(t);
  const credentials = { url: 'https://git.example.com/team/app', username: 'u', token: 's3cret' };
  const env = hardened(home, { credentials });
  const get = (...argv: string[]) =>
    execFileSync('git', ['config', ...argv], { env, cwd: home, encoding: 'utf8' }).trim();
  assert.equal(get('core.hooksPath'), '/dev/null');
  assert.equal(get('transfer.fsckObjects'), 'true');
  assert.equal(get('http.followRedirects'), 'false', 'an extra header would follow a redirect');
  const header = `Authorization: Basic ${Buffer.from('u:s3cret').toString('base64')}`;
  assert.equal(get('--get-urlmatch', 'http.extraHeader', 'https://git.example.com/team/app/info/refs'), header);
  assert.throws(() => get('--get-urlmatch', 'http.extraHeader', 'https://git.example.com/team/application'));
  assert.throws(() => get('--get-urlmatch', 'http.extraHeader', 'https://evil.example.com/team/app'));
  assert.equal(statSync(env.GIT_CONFIG_GLOBAL ?? '').mode & 0o777, 0o600);
  assert.doesNotMatch(JSON.stringify(env), /s3cret/);
});

test('a URL cannot inject config lines, and a private file never overwrites another', (t) => {
  for (const url of ['https://a/b"]\n[core]\n', 'https://a/b\\', 'https://a/ b']) {
    assert.throws(() => hardenedGitConfig({ credentials: { url, username: 'u', token: 't' } }), TypeError);
  }
  const path = join(folder(t), 'file');
  writeFileSync(path, 'open', { mode: 0o644 });
  assert.throws(() => writePrivateFile(path, 'secret'), /EEXIST/);
});

test('foreign transports, hooks and filters run nothing', async (t) => {
  const home = folder(t);
  const env = hardened(home);
  const canary = join(home, 'canary');
  const script = join(home, 'script');
  writeFileSync(script, `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
  const urls = [
    `ext::${script}`,
    `ext::sh -c touch% ${canary}`,
    `file://${home}`,
    home,
    'ssh://localhost/x',
    'git://localhost/x',
  ];
  for (const url of urls) {
    const { ok, out } = await git(env, home, 'ls-remote', '--', url);
    assert.equal(ok, false, url);
    assert.equal(explainGitFailure(out), 'ORK_URL_REFUSED', out);
  }
  const work = join(home, 'work');
  mkdirSync(work);
  await git(env, work, 'init', '-q', '.');
  for (const hook of ['pre-commit', 'post-commit', 'post-checkout', 'reference-transaction']) {
    mkdirSync(join(work, '.git', 'hooks'), { recursive: true });
    writeFileSync(join(work, '.git', 'hooks', hook), readFileSync(script), { mode: 0o755 });
  }
  writeFileSync(join(work, '.gitattributes'), '* filter=lfs\n');
  writeFileSync(join(work, 'file'), 'content');
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@b.c'];
  assert.ok((await git(env, work, ...who, 'add', '-A')).ok);
  const made = await git(env, work, ...who, 'commit', '-q', '-m', 'x');
  assert.ok(made.ok, made.out);
  assert.equal(existsSync(canary), false);
});

test('the output of git for each server response is mapped to the right code', async (t) => {
  const home = folder(t);
  const env = hardened(home);
  const answers: [status: number, code: string, headers?: Record<string, string>][] = [
    [401, 'ORK_REPO_ACCESS', { 'www-authenticate': 'Basic realm="x"' }],
    [403, 'ORK_REPO_ACCESS'],
    [404, 'ORK_REPO_ACCESS'],
    [410, 'ORK_REPO_ACCESS'],
    [429, 'ORK_REPO_UNREACHABLE'],
    [500, 'ORK_REPO_UNREACHABLE'],
    [503, 'ORK_REPO_UNREACHABLE'],
    [200, 'ORK_REPO_ACCESS', { 'content-type': 'text/html' }],
  ];
  for (const [status, code, headers] of answers) {
    const url = await serve(t, (_request, response) => response.writeHead(status, headers).end('<html>\n<body>\n'));
    const { out } = await git(env, home, 'ls-remote', '--', `${url}/team/app`);
    assert.equal(explainGitFailure(out), code, `${status}: ${out}`);
  }
});

test('a rejected token and a redirect are access errors; a dead port, an unknown host and garbage are unreachable', async (t) => {
  const home = folder(t);
  const refusing = await serve(t, (_request, response) =>
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
  );
  let leaked: string | undefined;
  const elsewhere = await serve(t, (request, response) => {
    leaked = request.headers.authorization;
    response.writeHead(404).end();
  });
  const moved = await serve(t, (request, response) =>
    response.writeHead(301, { location: `${elsewhere}${request.url}` }).end(),
  );
  for (const url of [refusing, moved]) {
    const own = join(home, new URL(url).port);
    mkdirSync(own);
    const credentials = { url: `${url}/app`, username: 'u', token: 't' };
    const { out } = await git(hardened(own, { allowHttp: true, credentials }), own, 'ls-remote', '--', `${url}/app`);
    assert.equal(explainGitFailure(out), 'ORK_REPO_ACCESS', out);
  }
  assert.equal(leaked, undefined, 'the token went to another server');

  const tcp = createTcpServer((socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('garbage\r\n\r\n'),
  );
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  const env = hardened(home);
  for (const scheme of ['http', 'https']) {
    const { out } = await git(env, home, 'ls-remote', '--', `${scheme}://127.0.0.1:${port}/app`);
    assert.equal(explainGitFailure(out), 'ORK_REPO_UNREACHABLE', out);
  }
  await new Promise((resolve) => tcp.close(resolve));
  for (const url of [`http://127.0.0.1:${CLOSED_PORT}/app`, 'https://no-such-host.invalid/app']) {
    const { out } = await git(env, home, 'ls-remote', '--', url);
    assert.equal(explainGitFailure(out), 'ORK_REPO_UNREACHABLE', out);
  }
});

test('an unknown git message is a failed clone, and a full disk has its own code', () => {
  assert.equal(explainGitFailure('fatal: something new'), 'ORK_CLONE_FAILED');
  assert.equal(explainGitFailure('fatal: write error: No space left on device'), 'ORK_DISK_FULL');
});
