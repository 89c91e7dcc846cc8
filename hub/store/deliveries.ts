/**
 * Messages on their way to receivers. Each receiver has at most one message being sent and one collecting notices, so
 * neither an unreachable receiver nor a burst of notices piles up messages.
 */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import type { ErrorReport } from '../../protocol/errors.ts';
import { Notice } from '../model/notice.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/** Notices per message; further ones are only counted. */
export const MAX_NOTICES = 50;
/** Ended messages kept per receiver. */
export const KEPT = 30;
const SHOWN = 10;

/** The notices of a message. @throws when a later version of the hub wrote a shape that this one does not know */
export const readNotices = ({ notices }: Pick<Row<'delivery'>, 'notices'>): Notice[] =>
  z.array(Notice).parse(JSON.parse(notices));

/** Adds a notice to the receiver's next message. Call it in the transaction of the event that it reports. */
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
  // Not validated: unreadable older notices must not block the caller.
  const notices = z.array(z.unknown()).parse(JSON.parse(open.notices));
  const change =
    notices.length < MAX_NOTICES ? { notices: JSON.stringify([...notices, notice]) } : { left_out: open.left_out + 1 };
  await db.updateTable('delivery').set(change).where('id', '=', open.id).execute();
}

/** Messages due now, longest due first. A collecting message waits while another one is being sent. */
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
 * Closes the message and counts an attempt. No other attempt starts before `dueAt`; then it is retried if this attempt
 * has not reported back. Undefined when it is gone or has ended. Call it in a transaction.
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

/** Ends the message, deletes the oldest ones, and pauses the receiver until `quietUntil`. Call it in a transaction. */
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

/**
 * Makes messages due now whose due time exceeds `quietUntil` (collecting) or `dueAt` (sending), as no correct clock
 * could have set it.
 */
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

/** Of one receiver, newest first. */
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
