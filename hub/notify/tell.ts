/**
 * Puts notices on their way: in the transaction of what they tell, so that none is told of what did not happen, and none of
 * what did is lost. Nothing is sent here (sender.ts).
 */
import { z } from 'zod';
import type { Db } from '../store/database.ts';
import { addNotice } from '../store/deliveries.ts';
import { listHearing } from '../store/receivers.ts';
import { isWanted, Notice, type NoticeKind } from './notice.ts';

/** How long a message waits for what comes right after: a burst is one message. */
const COLLECT_MS = 10_000;

interface Audience {
  readonly teamId: string;
  /** Projects that it is about: their own receivers hear of it, too. */
  readonly projectIds: readonly string[];
}

/** Kinds of notices that a receiver is told. */
export const readKinds = (json: string): string[] => z.array(z.string()).parse(JSON.parse(json));

export async function tell(
  trx: Db,
  { teamId, projectIds }: Audience,
  given: z.input<typeof Notice> & { readonly kind: NoticeKind },
): Promise<void> {
  const notice = Notice.parse(given);
  const dueAt = new Date(Date.parse(notice.at) + COLLECT_MS).toISOString();
  for (const receiver of await listHearing(trx, teamId, projectIds)) {
    if (isWanted(given.kind, readKinds(receiver.kinds))) {
      await addNotice(trx, receiver, notice, { now: notice.at, dueAt });
    }
  }
}
