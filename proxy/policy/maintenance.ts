/** An environment that its owner has closed for maintenance. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import { MAINTENANCE, pageAnswer } from '../http/pages.ts';
import { challengeToken } from './challenge.ts';
import type { Check } from './compile.ts';

/** When clients and crawlers may try again, seconds. */
const RETRY_SECONDS = '120';

/** 503 for everything but ACME challenges. @returns null: the environment is open */
export function makeMaintenanceCheck({ maintenance, errorPages }: EdgeSettings): Check | null {
  if (!maintenance) return null;
  return (asked) =>
    challengeToken(asked.target) === null
      ? pageAnswer(MAINTENANCE, asked.header('accept'), errorPages, ['Retry-After', RETRY_SECONDS])
      : null;
}
