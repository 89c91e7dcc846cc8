/** Serves the CLI for computers that are not hosts of orkestr: one file for Node.js, in the hub's own version. */
import { createReadStream, existsSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp } from '../deps.ts';

/** @param file absent when the hub runs from its sources */
export function registerCli(app: HubApp, file: string): void {
  app.get('/cli', { schema: { hide: true } }, (_request, reply) => {
    if (!existsSync(file)) {
      throw new OrkestrError('ORK_NOT_FOUND', 'This hub runs from its sources: use hub/cli/main.ts as the CLI.');
    }
    return reply
      .type('text/javascript; charset=utf-8')
      .header('content-disposition', 'attachment; filename="orkestr"')
      .header('cache-control', 'no-cache')
      .send(createReadStream(file));
  });
}
