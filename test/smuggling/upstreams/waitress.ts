/** waitress with the same app as gunicorn. */
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const waitress: UpstreamKind = {
  name: 'waitress',
  refusesUnseen: true,
  command: ({ port, seenFile }) => ({
    argv: ['waitress-serve', `--listen=127.0.0.1:${port}`, 'app:application'],
    env: { SEEN: seenFile, PYTHONPATH: join(import.meta.dirname, 'apps'), PYTHONDONTWRITEBYTECODE: '1' },
  }),
};
