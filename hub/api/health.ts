/** For supervisors and load balancers: whether the process is alive, and whether it can work. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { checkDatabase } from '../store/database.ts';

const Status = z.object({ status: z.literal('ok') });

export function registerHealth(app: HubApp, { db }: Pick<HubDeps, 'db'>): void {
  app.get(
    '/healthz',
    { schema: { summary: 'Whether the process is alive', tags: ['health'], response: { 200: Status } } },
    () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    { schema: { summary: 'Whether the hub is ready', tags: ['health'], response: { 200: Status } } },
    async () => {
      try {
        await checkDatabase(db);
      } catch (cause) {
        throw new OrkestrError('ORK_INTERNAL', 'The database does not answer.', { cause });
      }
      return { status: 'ok' as const };
    },
  );
}
