/** gunicorn with threads, so that it keeps connections alive. */
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const gunicorn: UpstreamKind = {
  name: 'gunicorn',
  refusesUnseen: true,
  command: ({ folder, port, seenFile }) => ({
    argv: [
      'gunicorn',
      '--bind',
      `127.0.0.1:${port}`,
      '--worker-class',
      'gthread',
      '--threads',
      '8',
      '--keep-alive',
      '30',
      '--worker-tmp-dir',
      folder,
      '--pythonpath',
      join(import.meta.dirname, 'apps'),
      'app:application',
    ],
    env: { SEEN: seenFile, PYTHONDONTWRITEBYTECODE: '1' },
  }),
};
