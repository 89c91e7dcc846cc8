/** Messages between a proxy and its successor, in addition to the calls of planes/messages.ts. */
import { z } from 'zod';
import { FlipAnswer, HoldRequest, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Kept } from '../control/table.ts';

/** The state that a successor gets in addition to the files on disk. */
export const Inheritance = z.object({
  kept: z.array(
    z.object({ entry: UpstreamEntry, lastFlip: FlipAnswer, before: UpstreamEntry.nullable() }),
  ) satisfies z.ZodType<readonly Kept[]>,
  holds: z.array(HoldRequest),
});
export type Inheritance = z.infer<typeof Inheritance>;

export const ToSuccessor = z.lazy(() => z.object({ type: z.literal('inherit'), inheritance: Inheritance }));
export type ToSuccessor = z.infer<typeof ToSuccessor>;

export const FromSuccessor = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('born') }),
    /** It accepts connections and has the admin socket: its predecessor may stop accepting. */
    z.object({ type: z.literal('serving') }),
  ]),
);
export type FromSuccessor = z.infer<typeof FromSuccessor>;
