/** Puma with a Rack app in its configuration. */
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const puma: UpstreamKind = {
  name: 'puma',
  refusesUnseen: true,
  command: ({ port, seenFile }) => ({
    argv: ['puma', '--config', join(import.meta.dirname, 'apps', 'puma.rb')],
    env: { SEEN: seenFile, PORT: String(port) },
  }),
};
