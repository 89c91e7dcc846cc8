/** A git server (git http-backend) on loopback with one private repository, which each of the tokens opens. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { GitWorkTree } from '../../installer/stack/git-work-tree.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { serveGit } from '../harness/git-http.ts';

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
    serveGit(folder, request, response);
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
