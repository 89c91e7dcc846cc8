/** A notice: one event, in the shape in which it is stored and, with its link, sent. */
import { z } from 'zod';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import { Timestamp } from '../../protocol/ids.ts';
import { StepName } from '../../protocol/steps.ts';

/** Kinds of receivers; notify/kinds/index.ts implements them. */
export const RECEIVER_KINDS = ['webhook', 'slack', 'discord', 'email'] as const;
export type ReceiverKind = (typeof RECEIVER_KINDS)[number];

/** collecting: still accepts notices. sending: closed, and retried until delivered or given up. */
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
  'app.down',
  'app.back',
] as const;
export const NoticeKind = z.enum(NOTICE_KINDS);
export type NoticeKind = z.infer<typeof NoticeKind>;

/** Kinds that a receiver gets by default: all that need a person's attention, and their resolution. */
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
  /** Path of the console's page. */
  path: z.string(),
});
export type Notice = z.infer<typeof Notice>;
