/**
 * Queues notices in the transaction of the event that they report, so that no notice is false and none is lost.
 * notifier.ts sends them.
 */
import { z } from 'zod';
import { Notice, type NoticeKind } from '../model/notice.ts';
import type { Db } from '../store/database.ts';
import { addNotice } from '../store/deliveries.ts';
import { type Audience, listHearing } from '../store/receivers.ts';
import { isWanted, oneLine } from './notice.ts';

/** How long a message waits for further notices: a burst becomes one message. */
const COLLECT_MS = 10_000;

/** Kinds of notices that a receiver gets. */
export const readKinds = (json: string): string[] => z.array(z.string()).parse(JSON.parse(json));

/** Queues a notice for the audience's receivers that want its kind. Call it in the transaction of the event. */
export async function queueNotice(
  trx: Db,
  audience: Audience,
  given: z.input<typeof Notice> & { readonly kind: NoticeKind },
): Promise<void> {
  // A host may have any name.
  const notice = Notice.parse({ ...given, summary: oneLine(given.summary) });
  const dueAt = new Date(Date.parse(notice.at) + COLLECT_MS).toISOString();
  for (const receiver of await listHearing(trx, audience)) {
    if (isWanted(given.kind, readKinds(receiver.kinds))) {
      await addNotice(trx, receiver, notice, { now: notice.at, dueAt });
    }
  }
}
