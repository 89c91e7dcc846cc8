/** What is told: one thing that happened, in the shape in which it is stored and, with its link, sent. */
import { z } from 'zod';
import { ERRORS, ErrorCode } from '../../protocol/error-catalogue.ts';
import { type ErrorReport } from '../../protocol/errors.ts';
import { Timestamp } from '../../protocol/ids.ts';
import { StepName } from '../../protocol/steps.ts';
import { safeLine } from '../../protocol/safe-text.ts';

/** Kinds of receivers; kinds/index.ts has what each does. */
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

/** Who asked for the second is told the first: each of these is also one of those. */
const ALSO: Partial<Record<NoticeKind, NoticeKind>> = {
  'deployment.reverted': 'deployment.failed',
  'deployment.recovered': 'deployment.live',
};

export const isWanted = (kind: NoticeKind, wanted: readonly string[]): boolean =>
  wanted.some((one) => one === kind || one === ALSO[kind]);

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

/** What is sent at once. */
export interface Message {
  /** The same at each try, so that a receiver can drop what it has already. */
  readonly id: string;
  readonly notices: readonly ToldNotice[];
  /** How many more there were than are told. */
  readonly leftOut: number;
}

/** A notice with the address of its page. */
export type ToldNotice = Omit<Notice, 'path'> & { readonly url: string };

export const told = ({ path, ...notice }: Notice, hubUrl: string): ToldNotice => ({ ...notice, url: hubUrl + path });

const MOST_CHARACTERS = 1000;

/** An error as it is told: its sentence and the mend. Its evidence stays here, for it may quote an app's log. */
export const errorOf = ({ code, message }: ErrorReport): NonNullable<Notice['error']> => ({
  code,
  message: oneLine(message),
  mend: ERRORS[code].mend,
  retry: ERRORS[code].retry,
});

/** Words of others as one line without control characters. */
export const oneLine = (text: string): string =>
  safeLine(text, false).replace(/\s+/g, ' ').trim().slice(0, MOST_CHARACTERS);
