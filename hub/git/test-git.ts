/** For tests: git as a user runs it, a hub to push to, and pushes that do not finish. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { until } from '../../test/harness/until.ts';
import type { TestHub } from '../test-hub.ts';

interface Outcome {
  readonly ok: boolean;
  readonly out: string;
}

/** git as a user runs it, but without this machine's config. */
export function git(cwd: string, ...argv: string[]): Promise<Outcome> {
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: cwd,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  return new Promise((resolve) => {
    execFile('git', argv, { cwd, env, maxBuffer: 1e8 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, out: stdout + stderr }),
    );
  });
}

export const remote = (on: TestHub, token = on.account.token, project = 'shop'): string =>
  `${on.url.replace('http://', `http://x:${encodeURIComponent(token)}@`)}/git/${project}.git`;

export async function checkout(on: TestHub, name = 'work'): Promise<string> {
  const folder = join(on.folder, name);
  await mkdir(folder);
  await git(folder, 'init', '-q', '-b', 'main', '.');
  return folder;
}

export async function commit(
  folder: string,
  file = 'index.html',
  content: string | Buffer = String(Math.random()),
): Promise<string> {
  writeFileSync(join(folder, file), content);
  await git(folder, 'add', '-A');
  await git(folder, 'commit', '-q', '-m', 'change');
  return (await git(folder, 'rev-parse', 'HEAD')).out.trim();
}

export const deployments = (on: TestHub) =>
  on.deps.db.selectFrom('deployment').selectAll().orderBy('generation').execute();

/** A raw request of a git client. */
export const post = (
  on: TestHub,
  service: string,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${on.url}/git/shop.git/${service}`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`,
      'content-type': `application/x-${service}-request`,
      ...headers,
    },
    body,
  });

/** gitprotocol-common(5): a line starts with its length. */
export const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;

/** A push that sends only its beginning: its objects stay in quarantine. */
export async function brokenPush(on: TestHub, length = 1_000_000): Promise<Socket> {
  const authorization = `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`;
  const command = `${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/main\0report-status`;
  const pack = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 9])]);
  const socket = connect(Number(new URL(on.url).port), '127.0.0.1');
  socket.on('error', () => undefined); // the hub may cut the connection
  socket.write(
    `POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: ${length}\r\nAuthorization: ${authorization}\r\n\r\n${line(command)}0000`,
  );
  socket.write(pack);
  await until(() => unfinished(on).length > 0);
  return socket;
}

export const unfinished = (on: TestHub): string[] => {
  const objects = join(on.repositories.path(on.projectId), 'objects');
  return existsSync(objects) ? readdirSync(objects).filter((name) => /^(?:tmp_|incoming-)/.test(name)) : [];
};

/** Processes that work in that repository, or were started for it. */
export function gitPids(path: string): string[] {
  const root = path.slice(0, path.lastIndexOf('/'));
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    return readProc(pid, 'environ').includes(`GIT_PROJECT_ROOT=${root}\0`);
  });
}

export const gitProcesses = (path: string): number => gitPids(path).length;

export function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // it has just ended, or belongs to the kernel
  }
}
