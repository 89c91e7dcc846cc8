/**
 * Sends requests to addresses given by team members: resolves and checks the name, dials only the checked addresses,
 * follows no redirects.
 */
import { Agent, request } from 'undici';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubConfig } from '../config.ts';
import { allowedAddresses, type ResolvedAddress, type Resolve } from './addresses.ts';
import { connectionError } from './connection-error.ts';

/** Limit for the body of an answer, which is discarded. */
const MAX_ANSWER_BYTES = 65_536;

export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Overrides for tests. */
export interface OutboundOptions {
  readonly resolve?: Resolve;
  /** PEM of CAs that are trusted instead of Node's own. */
  readonly ca?: string;
}

/**
 * Sends one request to its URL.
 * @throws OrkestrError ORK_NOTIFY_ADDRESS, ORK_NOTIFY_DNS, ORK_NOTIFY_UNREACHABLE, ORK_NOTIFY_TLS; ORK_NOTIFY_ANSWER
 * for
 *   everything but a 2xx, also for a redirect
 */
export async function post(
  config: HubConfig['notify'],
  { url, headers, body }: Post,
  signal: AbortSignal,
  { resolve, ca }: OutboundOptions = {},
): Promise<void> {
  const addresses = await allowedAddresses(config, url.hostname, signal, resolve);
  const agent = dialling(addresses, ca);
  let status: number;
  try {
    const answer = await request(url, { method: 'POST', headers, body, signal, dispatcher: agent });
    status = answer.statusCode;
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal });
  } catch (cause) {
    throw connectionError(cause, url.host);
  } finally {
    await agent.destroy();
  }
  if (status >= 200 && status < 300) return;
  const redirect = status >= 300 && status < 400 ? ' It redirects to another address; redirects are not followed.' : '';
  throw new OrkestrError('ORK_NOTIFY_ANSWER', `${url.host} answered with HTTP ${status}.${redirect}`);
}

/**
 * Dials the given addresses for any name. Resolving the name again could yield other addresses. The caller destroys it.
 */
export function dialling(addresses: readonly [ResolvedAddress, ...ResolvedAddress[]], ca?: string): Agent {
  return new Agent({
    connect: {
      lookup: (_name, options, done) =>
        options.all === true ? done(null, [...addresses]) : done(null, addresses[0].address, addresses[0].family),
      ...(ca === undefined ? {} : { ca }),
    },
  });
}
