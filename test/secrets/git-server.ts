/** A git server (git http-backend) on loopback with one private repository, which each of the tokens opens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { GitWorkTree } from '../../installer/stack/git-work-tree.ts';
import { mustRun } from '../../installer/stack/run-program.ts';

export interface GitServer {
  readonly url: string;
  /** How often a repository was read with a token. */
  readonly opened: () => number;
  stop(): void;
}

export async function startGitServer(
  folder: string,
  logins: readonly { readonly user: string; readonly value: string }[],
): Promise<GitServer> {
  const tree = new GitWorkTree(join(folder, 'tree'), join(folder, 'git-tree.config'));
  await tree.init();
  tree.write({ 'notes.txt': 'No app is here.' });
  await tree.commit('First version');
  await mustRun('clone', ['git', 'clone', '--quiet', '--bare', '--', tree.folder, join(folder, 'private.git')]);
  const expected = new Set(
    logins.map(({ user, value }) => `Basic ${Buffer.from(`${user}:${value}`).toString('base64')}`),
  );
  let opened = 0;
  const server = createServer((request, response) => {
    if (!expected.has(request.headers.authorization ?? '')) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    opened += 1;
    serve(folder, request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/private.git`,
    opened: () => opened,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** CGI (RFC 3875), as far as git http-backend needs it. */
function serve(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://git.invalid');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
  });
  request.pipe(backend.stdin);
  const chunks: Buffer[] = [];
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  backend.on('close', () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    for (const header of all.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = header.split(': ', 2);
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
      else if (name !== '') response.setHeader(name, value);
    }
    response.end(all.subarray(end + 4));
  });
}
