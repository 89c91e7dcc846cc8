/** Max-Forwards (RFC 9110 section 7.6.2): how many servers an OPTIONS may pass on its way, so that one in the middle can be asked. */
import type { Answer } from '../http/pages.ts';
import type { Asked } from './policy.ts';

/** For an OPTIONS that ends here. What may be asked of the app only the app knows. */
export const ASKED_US: Answer = { status: 200, headers: ['Cache-Control', 'no-store'], body: '', code: null };

/** @returns null: as many as there are. TRACE, the other method that has it, goes to no app. */
export function forwardsLeft(asked: Pick<Asked, 'method' | 'header'>): number | null {
  if (asked.method !== 'OPTIONS') return null;
  const value = asked.header('max-forwards') ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : null;
}
