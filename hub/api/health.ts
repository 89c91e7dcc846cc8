/** For supervisors and load balancers: whether the process is alive, and whether it can work. */
import { sql } from 'kysely';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp, HubDeps } from '../deps.ts';

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
        // Reads a table made by the migrations: succeeds only when the database exists and has its schema.
        await sql`select 1 from team limit 1`.execute(db);
      } catch (cause) {
        throw new OrkestrError('ORK_INTERNAL', 'The database does not answer.', { cause });
      }
      return { status: 'ok' as const };
    },
  );
}
