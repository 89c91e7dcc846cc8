/**
 * Puts notices on their way: in the transaction of what they tell, so that none is told of what did not happen, and none of
 * what did is lost. Nothing is sent here (notifier.ts).
 */
import { z } from 'zod';
import { Notice, type NoticeKind } from '../model/notice.ts';
import type { Db } from '../store/database.ts';
import { addNotice } from '../store/deliveries.ts';
import { type Audience, listHearing } from '../store/receivers.ts';
import { isWanted, oneLine } from './notice.ts';

/** How long a message waits for what comes right after: a burst is one message. */
const COLLECT_MS = 10_000;

/** Kinds of notices that a receiver is told. */
export const readKinds = (json: string): string[] => z.array(z.string()).parse(JSON.parse(json));

/** To all of the audience who want notices of that kind. Call it in the transaction of what it tells. */
export async function tell(
  trx: Db,
  audience: Audience,
  given: z.input<typeof Notice> & { readonly kind: NoticeKind },
): Promise<void> {
  // The name of a host may be anything.
  const notice = Notice.parse({ ...given, summary: oneLine(given.summary) });
  const dueAt = new Date(Date.parse(notice.at) + COLLECT_MS).toISOString();
  for (const receiver of await listHearing(trx, audience)) {
    if (isWanted(given.kind, readKinds(receiver.kinds))) {
      await addNotice(trx, receiver, notice, { now: notice.at, dueAt });
    }
  }
}
