/** What is told: one thing that happened, in the shape in which it is stored and, with its link, sent. */
import { z } from 'zod';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import { Timestamp } from '../../protocol/ids.ts';
import { StepName } from '../../protocol/steps.ts';

/** Kinds of receivers; notify/kinds/index.ts has what each does. */
export const RECEIVER_KINDS = ['webhook', 'slack', 'discord', 'email'] as const;
export type ReceiverKind = (typeof RECEIVER_KINDS)[number];

/** collecting: notices are added still. sending: closed, and tried until it arrives or is given up. */
export const DELIVERY_STATES = ['collecting', 'sending', 'sent', 'given-up'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const NOTICE_KINDS = [
  'deployment.failed',
  'deployment.reverted',
  'deployment.recovered',
  'deployment.live',
  'host.offline',
  'host.back',
  'upgrade.failed',
  'certificate.failing',
  'certificate.mended',
] as const;
export const NoticeKind = z.enum(NOTICE_KINDS);
export type NoticeKind = z.infer<typeof NoticeKind>;

/** What a receiver is told unless it says otherwise: whatever wants a person, and the end of it. */
export const DEFAULT_NOTICES: readonly NoticeKind[] = NOTICE_KINDS.filter((kind) => kind !== 'deployment.live');

const Named = z.object({ id: z.string(), slug: z.string() });

export const Notice = z.object({
  kind: z.enum([...NOTICE_KINDS, 'test']),
  at: Timestamp,
  /** One sentence without the reason. */
  summary: z.string(),
  project: Named.nullable().default(null),
  environment: Named.nullable().default(null),
  deployment: z
    .object({
      id: z.string(),
      commit: z.string(),
      branch: z.string(),
      trigger: z.enum(['push', 'manual', 'rollback']),
      /** The step that failed. */
      step: StepName.nullable(),
    })
    .nullable()
    .default(null),
  host: z.object({ id: z.string(), name: z.string() }).nullable().default(null),
  error: z
    .object({ code: ErrorCode, message: z.string(), mend: z.string(), retry: z.boolean() })
    .nullable()
    .default(null),
  /** Page of the console. */
  path: z.string(),
});
export type Notice = z.infer<typeof Notice>;
