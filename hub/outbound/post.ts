/** The way out of the hub to an address that a member of a team gave: looked up, judged, dialled as judged, never led on. */
import { Agent, request } from 'undici';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubConfig } from '../config.ts';
import { allowedAddresses, type ResolvedAddress, type Resolve } from './addresses.ts';
import { connectionError } from './connection-error.ts';

/** Of an answer, which nobody needs. */
const MOST_ANSWER_BYTES = 65_536;

export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What is given by tests. */
export interface OutboundOptions {
  readonly resolve?: Resolve;
  /** PEM of CAs that are trusted in the place of Node's own. */
  readonly ca?: string;
}

/**
 * Sends one request to where its URL leads.
 * @throws OrkestrError ORK_NOTIFY_ADDRESS, ORK_NOTIFY_DNS, ORK_NOTIFY_UNREACHABLE, ORK_NOTIFY_TLS; ORK_NOTIFY_ANSWER for
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
    await answer.body.dump({ limit: MOST_ANSWER_BYTES, signal });
  } catch (cause) {
    throw connectionError(cause, url.host);
  } finally {
    await agent.destroy();
  }
  if (status >= 200 && status < 300) return;
  const redirect = status >= 300 && status < 400 ? ' It redirects to another address; redirects are not followed.' : '';
  throw new OrkestrError('ORK_NOTIFY_ANSWER', `${url.host} answered with HTTP ${status}.${redirect}`);
}

/** Dials these, whatever the name is: it is not looked up again, for it may lead elsewhere by then. To be destroyed. */
export function dialling(addresses: readonly [ResolvedAddress, ...ResolvedAddress[]], ca?: string): Agent {
  return new Agent({
    connect: {
      lookup: (_name, options, done) =>
        options.all === true ? done(null, [...addresses]) : done(null, addresses[0].address, addresses[0].family),
      ...(ca === undefined ? {} : { ca }),
    },
  });
}
