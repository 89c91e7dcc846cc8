/** Max-Forwards (RFC 9110 section 7.6.2): how many more servers an OPTIONS may pass, so that each can be asked. */
import type { Answer } from '../http/pages.ts';
import type { Asked } from './policy.ts';

/** The response to an OPTIONS that ends here. Which methods the app allows only the app knows. */
export const ASKED_US: Answer = { status: 200, headers: ['Cache-Control', 'no-store'], body: '', code: null };

/** @returns null: no limit. TRACE, the other method with this field, is never passed to an app. */
export function forwardsLeft(asked: Pick<Asked, 'method' | 'header'>): number | null {
  if (asked.method !== 'OPTIONS') return null;
  const value = asked.header('max-forwards') ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : null;
}
