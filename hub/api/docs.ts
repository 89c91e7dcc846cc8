/** Serves the pages of docs/ unchanged: messages name them, and no other copy on a host can be read with a browser. */
import { existsSync, readdirSync } from 'node:fs';
import fastifyStatic from '@fastify/static';
import type { HubApp } from '../deps.ts';

const TEXT = 'text/plain; charset=utf-8';

/**
 * `GET /docs` lists the pages, `GET /docs/NAME.md` is one page.
 * @param folder of the pages; the hub also runs without it
 */
export async function registerDocs(app: HubApp, folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
  app.get('/docs', { schema: { hide: true } }, (_request, reply) =>
    reply.type(TEXT).send(pages.map((name) => `/docs/${name}\n`).join('')),
  );
  await app.register(fastifyStatic, {
    root: folder,
    prefix: '/docs/',
    decorateReply: false,
    index: false,
    allowedPath: (path) => pages.includes(path.slice(1)),
    // A browser would save Markdown instead of showing it.
    setHeaders: (reply) => void reply.header('content-type', TEXT),
  });
}
