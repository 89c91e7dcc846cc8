/**
 * Messages between the process that holds the table and one that serves, validated at both ends. The schemas are
 * created on first use: on most hosts a single process serves, and nothing is sent.
 */
import { z } from 'zod';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import {
  DrainAnswer,
  DrainRequest,
  FlipAnswer,
  HoldAnswer,
  HoldRequest,
  UpstreamEntry,
} from '../../protocol/proxy-admin.ts';
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import { TerminatorChange } from '../tls/state.ts';
import { UpstreamCounts } from '../upstream/counts.ts';
import { ConcurrencyShare, ConcurrencyUse } from '../upstream/concurrency.ts';
import { Tally } from '../upstream/tally.ts';
import type { LastWords } from './planes.ts';

const Metrics = z.lazy(() => {
  const Family = z.object({
    name: z.string(),
    help: z.string(),
    type: z.enum(['counter', 'gauge', 'histogram']),
    merge: z.enum(['sum', 'max']),
    // null stands for infinity, which JSON lacks.
    samples: z.array(z.object({ suffix: z.string(), labels: z.string(), value: z.number().nullable() })),
  });
  return z.array(z.object({ families: z.array(Family) }));
});

const Rates = z.lazy(() =>
  z.array(z.object({ upstreamId: z.string(), clients: z.array(z.tuple([z.string(), z.number()])) })),
);

/** Calls, each with the schema of its argument and of its answer. */
export const CALLS = {
  put: { asks: UpstreamEntry, answers: FlipAnswer.shape.previous },
  amend: { asks: UpstreamEntry, answers: z.null() },
  remove: { asks: z.object({ id: z.string() }), answers: z.array(z.string()) },
  drain: { asks: DrainRequest, answers: DrainAnswer },
  hold: { asks: HoldRequest, answers: HoldAnswer },
  resume: { asks: z.object({ id: z.string() }), answers: HoldAnswer },
  watch: { asks: z.object({ upstreamId: z.string(), targetId: z.string() }), answers: z.null() },
  counts: { asks: z.object({ id: z.string().optional() }), answers: z.lazy(() => z.array(UpstreamCounts)) },
  metrics: { asks: z.object({}), answers: Metrics },
  exchangeRates: { asks: z.lazy(() => z.object({ elsewhere: Rates })), answers: Rates },
  shareRoom: {
    asks: z.lazy(() => z.object({ parts: z.array(ConcurrencyShare) })),
    answers: z.lazy(() => z.array(ConcurrencyUse)),
  },
  secure: { asks: TerminatorChange, answers: z.null() },
  lose: { asks: z.object({ lost: z.boolean() }), answers: z.null() },
} as const;
export type CallName = keyof typeof CALLS;
export type Asks<N extends CallName> = z.infer<(typeof CALLS)[N]['asks']>;
export type Answers<N extends CallName> = z.infer<(typeof CALLS)[N]['answers']>;

/** The metrics as they were before they were sent. */
export function snapshotsOf(told: Answers<'metrics'>): MetricsSnapshot[] {
  return told.map(({ families }) => ({
    families: families.map((family) => ({
      ...family,
      samples: family.samples.map((sample) => ({ ...sample, value: sample.value ?? Infinity })),
    })),
  }));
}

/** The last counts of a process that exits. */
const Farewell = z.lazy(() =>
  z.object({
    type: z.literal('farewell'),
    counts: CALLS.counts.answers,
    metrics: CALLS.metrics.answers,
  }),
);

/** The message that {@link readFarewell} reads. */
export const farewell = ({ counts, metrics }: LastWords): object => ({ type: 'farewell', counts, metrics });

/** @returns null for another message */
export function readFarewell(message: unknown): LastWords | null {
  const said = Farewell.safeParse(message);
  return said.success ? { counts: said.data.counts, metrics: snapshotsOf(said.data.metrics) } : null;
}

/** To the serving process. `asks` and `value` are validated by the call's own schema. */
export const Down = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.object({
      type: z.literal('call'),
      seq: z.int(),
      name: z.enum(Object.keys(CALLS) as [CallName, ...CallName[]]),
      asks: z.unknown(),
    }),
    /** Nobody needs the answer any more: a drain is given up, or a watch ends. */
    z.object({ type: z.literal('cancel'), seq: z.int() }),
  ]),
);
export type Down = z.infer<typeof Down>;

/** From the serving process. */
export const Up = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('answer'), seq: z.int(), value: z.unknown() }),
    z.object({
      type: z.literal('refusal'),
      seq: z.int(),
      code: ErrorCode,
      message: z.string(),
      evidence: z.array(z.string()),
    }),
    z.object({ type: z.literal('tally'), seq: z.int(), tally: Tally }),
  ]),
);
export type Up = z.infer<typeof Up>;
