/** The way out of the hub to an address that a member of a team gave: looked up, judged, dialled as judged, never led on. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Agent, request } from 'undici';
import { blockListOf, contains, type HostAddress, makeJudge } from '../../protocol/address-kind.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { guestBridges } from '../../protocol/service/guest-bridges.ts';
import type { HubConfig } from '../config.ts';
import { connectionError } from './connection-error.ts';
import { within } from './within.ts';

/** Of an answer, which nobody needs. */
const MOST_ANSWER_BYTES = 65_536;

export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Found {
  readonly address: string;
  readonly family: number;
}

/** What is given by tests. */
export interface OutsideOptions {
  /** All addresses of a name. */
  readonly resolve?: (name: string) => Promise<readonly Found[]>;
  /** PEM of CAs that are trusted in the place of Node's own. */
  readonly ca?: string;
}

const resolveName = (name: string): Promise<readonly Found[]> => lookup(name, { all: true });

/**
 * Sends one request to where its URL leads.
 * @throws OrkestrError ORK_NOTIFY_ADDRESS, ORK_NOTIFY_DNS, ORK_NOTIFY_UNREACHABLE, ORK_NOTIFY_TLS; ORK_NOTIFY_ANSWER for
 *   everything but a 2xx, also for a redirect
 */
export async function post(
  config: HubConfig['notify'],
  { url, headers, body }: Post,
  signal: AbortSignal,
  { resolve = resolveName, ca }: OutsideOptions = {},
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
  const redirect = status >= 300 && status < 400 ? ' It sends on to another address, which is not followed.' : '';
  throw new OrkestrError('ORK_NOTIFY_ANSWER', `${url.host} answered with HTTP ${status}.${redirect}`);
}

/** Dials these, whatever the name is: it is not looked up again, for it may lead elsewhere by then. To be destroyed. */
export function dialling(addresses: readonly [Found, ...Found[]], ca?: string): Agent {
  return new Agent({
    connect: {
      lookup: (_name, options, done) =>
        options.all === true ? done(null, [...addresses]) : done(null, addresses[0].address, addresses[0].family),
      ...(ca === undefined ? {} : { ca }),
    },
  });
}

/**
 * All addresses of a name, none of which is one that the hub does not send to.
 * @throws OrkestrError ORK_NOTIFY_ADDRESS, ORK_NOTIFY_DNS, ORK_NOTIFY_UNREACHABLE when it takes too long
 */
export async function allowedAddresses(
  config: HubConfig['notify'],
  hostname: string,
  signal: AbortSignal,
  resolve: (name: string) => Promise<readonly Found[]> = resolveName,
): Promise<readonly [Found, ...Found[]]> {
  const name = hostname.replace(/^\[|\]$/g, '');
  const [first, ...others] = await find(name, signal, resolve);
  if (first === undefined) throw new OrkestrError('ORK_NOTIFY_DNS', `The name ${name} has no address.`);
  const judge = makeJudge(ownAddresses(), await guestBridges());
  const allowed = blockListOf(config.allow);
  for (const { address } of [first, ...others]) {
    if (contains(allowed, address)) continue;
    const kind = judge(address);
    if (kind === 'public' || (kind === 'private' && config.allowPrivate)) continue;
    const what = kind === 'private' ? 'of a private network' : "the hub's own, or leads to no other machine";
    const leads = address === name ? address : `${name} leads to ${address}, which`;
    throw new OrkestrError('ORK_NOTIFY_ADDRESS', `${leads} is ${what}: the hub sends nothing there.`);
  }
  return [first, ...others];
}

async function find(
  name: string,
  signal: AbortSignal,
  resolve: (name: string) => Promise<readonly Found[]>,
): Promise<readonly Found[]> {
  const family = isIP(name);
  if (family !== 0) return [{ address: name, family }];
  try {
    return await within(signal, resolve(name));
  } catch (cause) {
    throw connectionError(cause, name);
  }
}

const ownAddresses = (): HostAddress[] =>
  Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.map(({ address, cidr }) => ({ name, address, bits: Number(cidr?.split('/')[1] ?? 128) })),
  );
