/** Tornado's own HTTP server. */
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const tornado: UpstreamKind = {
  name: 'tornado',
  refusesUnseen: true,
  command: ({ port, seenFile }) => ({
    // Debian's Python, which has Debian's packages, whatever `python3` is here.
    argv: ['/usr/bin/python3', join(import.meta.dirname, 'apps', 'tornado_app.py')],
    env: { SEEN: seenFile, PORT: String(port) },
  }),
};
