/** Limits attempts to guess a secret per client address. Other routes authenticate first, or guard no secret. */
import rateLimit from '@fastify/rate-limit';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp } from '../deps.ts';

/** Maximum number of addresses counted at once; the least recently seen one is dropped first. */
const ADDRESSES = 5_000;

/** Route config for logins and enrolments. */
export const guessLimit = { rateLimit: { max: 20, timeWindow: '1 minute' } } as const;

export async function registerRateLimit(app: HubApp): Promise<void> {
  await app.register(rateLimit, {
    global: false,
    cache: ADDRESSES,
    errorResponseBuilder: (_request, context) =>
      new OrkestrError('ORK_TOO_MANY_REQUESTS', `Too many attempts; try again in ${context.after}.`),
  });
}
