/** Selects and formats notices for receivers. */
import { ERRORS } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { safeLine } from '../../protocol/safe-text.ts';
import type { Notice, NoticeKind } from '../model/notice.ts';

/** A receiver that asked for the second kind also gets the first, which is a special case of it. */
const ALSO: Partial<Record<NoticeKind, NoticeKind>> = {
  'deployment.reverted': 'deployment.failed',
  'deployment.recovered': 'deployment.live',
};

export const isWanted = (kind: NoticeKind, wanted: readonly string[]): boolean =>
  wanted.some((one) => one === kind || one === ALSO[kind]);

/** Notices that are sent together. */
export interface Message {
  /** The same for every attempt, so that a receiver can drop duplicates. */
  readonly id: string;
  readonly notices: readonly LinkedNotice[];
  /** Number of further notices that are not included. */
  readonly leftOut: number;
}

/** A notice with the URL of its page. */
export type LinkedNotice = Omit<Notice, 'path'> & { readonly url: string };

export const withUrl = ({ path, ...notice }: Notice, hubUrl: string): LinkedNotice => ({
  ...notice,
  url: hubUrl + path,
});

const MAX_CHARACTERS = 1000;

/** The part of an error that is sent: its message and fix. The evidence stays here, since it may quote an app's log. */
export const errorOf = ({ code, message }: ErrorReport): NonNullable<Notice['error']> => ({
  code,
  message: oneLine(message),
  mend: ERRORS[code].mend,
  retry: ERRORS[code].retry,
});

/** External text as one line without control characters. */
export const oneLine = (text: string): string =>
  safeLine(text, false).replace(/\s+/g, ' ').trim().slice(0, MAX_CHARACTERS);
