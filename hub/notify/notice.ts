/** Notices on their way to receivers: who wants them, and what is made of them. */
import { ERRORS } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { safeLine } from '../../protocol/safe-text.ts';
import type { Notice, NoticeKind } from '../model/notice.ts';

/** Who asked for the second is told the first: each of these is also one of those. */
const ALSO: Partial<Record<NoticeKind, NoticeKind>> = {
  'deployment.reverted': 'deployment.failed',
  'deployment.recovered': 'deployment.live',
};

export const isWanted = (kind: NoticeKind, wanted: readonly string[]): boolean =>
  wanted.some((one) => one === kind || one === ALSO[kind]);

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
