/**
 * What is on its way to receivers. Of each receiver one message is tried and another collects at most, so that neither one
 * that is away nor a burst of notices makes more than that.
 */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import type { ErrorReport } from '../../protocol/errors.ts';
import { Notice } from '../model/notice.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/** Notices of one message; more are counted. */
export const MOST_NOTICES = 50;
/** Messages of a receiver that are kept once they have ended. */
export const KEPT = 30;
const SHOWN = 10;

/** What a message tells. @throws when a later version of the hub wrote it in a shape that this one does not know */
export const readNotices = ({ notices }: Pick<Row<'delivery'>, 'notices'>): Notice[] =>
  z.array(Notice).parse(JSON.parse(notices));

/** Adds a notice to what the receiver is sent next. Call it in the transaction of what the notice tells. */
export async function addNotice(
  db: Db,
  receiver: Pick<Row<'receiver'>, 'id' | 'quiet_until'>,
  notice: Notice,
  times: { readonly now: string; readonly dueAt: string },
): Promise<void> {
  const open = await inState(db, receiver.id, 'collecting');
  if (open === undefined) {
    const due_at = [times.dueAt, receiver.quiet_until ?? ''].toSorted().at(-1);
    const values = { receiver_id: receiver.id, notices: JSON.stringify([notice]), created_at: times.now };
    await db
      .insertInto('delivery')
      .values({ id: randomUUIDv7(), state: 'collecting', due_at, ...values })
      .execute();
    return;
  }
  // As they are: whoever reports what is told now is not to be held up by what cannot be read.
  const notices = z.array(z.unknown()).parse(JSON.parse(open.notices));
  const change =
    notices.length < MOST_NOTICES ? { notices: JSON.stringify([...notices, notice]) } : { left_out: open.left_out + 1 };
  await db.updateTable('delivery').set(change).where('id', '=', open.id).execute();
}

/** What is to be tried now, the longest due first. What collects waits for what is tried. */
export function listDue(db: Db, now: string, limit: number): Promise<Pick<Row<'delivery'>, 'id' | 'receiver_id'>[]> {
  return db
    .selectFrom('delivery')
    .select(['id', 'receiver_id'])
    .where('due_at', '<=', now)
    .where((where) =>
      where.or([
        where('state', '=', 'sending'),
        where.not(
          where.exists(
            where
              .selectFrom('delivery as before')
              .select('before.id')
              .whereRef('before.receiver_id', '=', 'delivery.receiver_id')
              .where('before.state', '=', 'sending'),
          ),
        ),
      ]),
    )
    .orderBy('due_at')
    .limit(limit)
    .execute();
}

/**
 * Closes it and counts a try. Until `dueAt` nobody else tries it; then it is tried again, should this try end without a word.
 * Undefined when it is gone or has ended. Call it in a transaction.
 */
export async function beginTry(
  db: Db,
  id: string,
  { now, dueAt }: { readonly now: string; readonly dueAt: string },
): Promise<{ readonly delivery: Row<'delivery'>; readonly receiver: Row<'receiver'> } | undefined> {
  const delivery = await db
    .updateTable('delivery')
    .set((row) => ({
      state: 'sending' as const,
      attempts: row('attempts', '+', 1),
      begun_at: row.fn.coalesce('begun_at', row.val(now)),
      due_at: dueAt,
    }))
    .where('id', '=', id)
    .where('due_at', '<=', now)
    .returningAll()
    .executeTakeFirst();
  if (delivery === undefined) return undefined;
  const receiver = await db
    .selectFrom('receiver')
    .selectAll()
    .where('id', '=', delivery.receiver_id)
    .executeTakeFirstOrThrow();
  return { delivery, receiver };
}

export async function tryAgain(db: Db, id: string, dueAt: string, error: ErrorReport): Promise<void> {
  await db
    .updateTable('delivery')
    .set({ due_at: dueAt, error: JSON.stringify(error) })
    .where('id', '=', id)
    .execute();
}

/** Ends it, forgets the oldest, and lets the receiver be until `quietUntil`. Call it in a transaction. */
export async function endDelivery(
  db: Db,
  { id, receiver_id }: Pick<Row<'delivery'>, 'id' | 'receiver_id'>,
  end: { readonly error: ErrorReport | null; readonly now: string; readonly quietUntil: string },
): Promise<void> {
  const { error, now, quietUntil } = end;
  await db
    .updateTable('delivery')
    .set({
      state: error === null ? 'sent' : 'given-up',
      error: error === null ? null : JSON.stringify(error),
      due_at: null,
      ended_at: now,
    })
    .where('id', '=', id)
    .execute();
  await db.updateTable('receiver').set({ quiet_until: quietUntil }).where('id', '=', receiver_id).execute();
  await db
    .updateTable('delivery')
    .set({ due_at: quietUntil })
    .where('receiver_id', '=', receiver_id)
    .where('state', '=', 'collecting')
    .where('due_at', '<', quietUntil)
    .execute();
  await forgetOldest(db, receiver_id);
}

/** What waits for longer than anything may, by `quietUntil` or the `dueAt` of another try, is due now. */
export async function bringNear(
  db: Db,
  { now, quietUntil, dueAt }: { readonly now: string; readonly quietUntil: string; readonly dueAt: string },
): Promise<void> {
  await db.updateTable('receiver').set({ quiet_until: null }).where('quiet_until', '>', quietUntil).execute();
  for (const [state, latest] of [
    ['collecting', quietUntil],
    ['sending', dueAt],
  ] as const) {
    await db
      .updateTable('delivery')
      .set({ due_at: now })
      .where('state', '=', state)
      .where('due_at', '>', latest)
      .execute();
  }
}

/** Of one receiver, the newest first. */
export const listRecent = (db: Db, receiverId: string): Promise<Row<'delivery'>[]> =>
  db
    .selectFrom('delivery')
    .selectAll()
    .where('receiver_id', '=', receiverId)
    .orderBy('id', 'desc')
    .limit(SHOWN)
    .execute();

const inState = (db: Db, receiverId: string, state: Row<'delivery'>['state']): Promise<Row<'delivery'> | undefined> =>
  db
    .selectFrom('delivery')
    .selectAll()
    .where('receiver_id', '=', receiverId)
    .where('state', '=', state)
    .executeTakeFirst();

async function forgetOldest(db: Db, receiverId: string): Promise<void> {
  const oldest = await db
    .selectFrom('delivery')
    .select('id')
    .where('receiver_id', '=', receiverId)
    .orderBy('id', 'desc')
    .offset(KEPT)
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return;
  await db
    .deleteFrom('delivery')
    .where('receiver_id', '=', receiverId)
    .where('id', '<=', oldest.id)
    .where('ended_at', 'is not', null)
    .execute();
}
