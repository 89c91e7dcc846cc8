/** Texts about a cutover's receipt. Pure; shared by the CLI and the console. */
import type { CutoverReceipt } from '../../../protocol/steps.ts';
import { count, formatDuration } from './format.ts';

/** How the old target drained: `840 ms, 2 requests cut`; null when there was nothing to drain. */
export function drainText({ drain }: Pick<CutoverReceipt, 'drain'>): string | null {
  if (drain === null) return null;
  const time = formatDuration(drain.ms);
  return drain.forced === 0 ? time : `${time}, ${count(drain.forced, 'request')} cut`;
}

/** The fate of WebSockets and other streams: `3 carried on: 1 ended, 2 closed politely`; null when there were none. */
export function streamsText({ drain }: Pick<CutoverReceipt, 'drain'>): string | null {
  if (drain === null || drain.streams.carried === 0) return null;
  const { carried, ended, closed } = drain.streams;
  return `${carried} carried on: ${ended} ended, ${closed} closed politely`;
}

/** Requests held for the new target: `40 for 12 ms (p50), at most 80 ms; 1 refused`; null without a hold. */
export function heldText({ held }: Pick<CutoverReceipt, 'held'>): string | null {
  if (held === null) return null;
  const waited = `${held.requests} for ${formatDuration(held.p50Ms)} (p50), at most ${formatDuration(held.maxMs)}`;
  return held.refused === 0 ? waited : `${waited}; ${held.refused} refused`;
}

/** Nothing to count: no visitor could come. An app that became a worker may still have had some before. */
export const isQuiet = ({ previous, current, failed, urls }: CutoverReceipt): boolean =>
  urls.length === 0 &&
  failed +
    [current, previous].reduce((sum, side) => sum + (side ? side.requests.served + side.requests.failed : 0), 0) ===
    0;

/** The whole receipt on one line. */
export function receiptText(receipt: CutoverReceipt): string {
  const { previous, current, generation, failed } = receipt;
  if (isQuiet(receipt)) return `generation ${generation} · no domain, so no requests`;
  const [drained, streams, held] = [drainText(receipt), streamsText(receipt), heldText(receipt)];
  const errors = current.errors + (previous?.errors ?? 0);
  return [
    `generation ${generation}`,
    `${failed} failed`,
    previous && `${count(previous.requests.served, 'request')} by the old one, ${current.requests.served} by the new`,
    drained && `drained in ${drained}`,
    streams && `streams: ${streams}`,
    held && `held: ${held}`,
    errors > 0 && `${errors} answered 5xx by the app`,
  ]
    .filter(Boolean)
    .join(' · ');
}
