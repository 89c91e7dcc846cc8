/** The web console: static files from `vite build`, with its start page for all paths of the console. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { OrkestrError } from '../../protocol/errors.ts';
import { sendProblem } from './problem.ts';
import type { HubApp } from '../deps.ts';

/** First path segments that never belong to the console. */
const OTHERS = new Set([
  'api',
  'git',
  'agent',
  'healthz',
  'readyz',
  'assets',
  'docs',
  'join',
  'install.sh',
  'releases',
  'cli',
]);
const YEAR_MS = 365 * 24 * 3600 * 1000;

const NOT_BUILT = `The orkestr hub is running. Its web console is not built yet. To build it:

  node_modules/.bin/vite build hub/console

The API is at /api/v1, its description at /api/openapi.json.
`;

/** @param folder output of the build; the hub also runs without it */
export async function registerConsole(app: HubApp, folder: string): Promise<void> {
  const isBuilt = existsSync(join(folder, 'index.html'));
  if (isBuilt) {
    await app.register(fastifyStatic, {
      root: folder,
      cacheControl: false,
      // Names of files in assets/ contain a hash of their content; all other files may change with the next version.
      setHeaders: (reply, path) => {
        const forever = path.startsWith(join(folder, 'assets'));
        reply.header('cache-control', forever ? `public, max-age=${YEAR_MS / 1000}, immutable` : 'no-cache');
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '/';
    if (request.method !== 'GET' || OTHERS.has(path.split('/')[1] ?? '')) {
      return sendProblem(request, reply, new OrkestrError('ORK_NOT_FOUND', `There is nothing at ${path}.`));
    }
    return isBuilt ? reply.sendFile('index.html') : reply.type('text/plain; charset=utf-8').send(NOT_BUILT);
  });
}
