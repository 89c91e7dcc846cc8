/** Decides which addresses the hub may dial on behalf of a team member. Checks all addresses of a name. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { blockListOf, contains, type HostAddress, makeJudge } from '../../protocol/address-kind.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { guestBridges } from '../../protocol/service/guest-bridges.ts';
import type { HubConfig } from '../config.ts';
import { connectionError } from './connection-error.ts';
import { within } from './within.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves a name to all its addresses. */
export type Resolve = (name: string) => Promise<readonly ResolvedAddress[]>;

const resolveName: Resolve = (name) => lookup(name, { all: true });

/**
 * All addresses of a name, after a check that the hub may send to each of them.
 * @throws OrkestrError ORK_NOTIFY_ADDRESS, ORK_NOTIFY_DNS, ORK_NOTIFY_UNREACHABLE when it takes too long
 */
export async function allowedAddresses(
  config: HubConfig['notify'],
  hostname: string,
  signal: AbortSignal,
  resolve: Resolve = resolveName,
): Promise<readonly [ResolvedAddress, ...ResolvedAddress[]]> {
  const name = hostname.replace(/^\[|\]$/g, '');
  const [first, ...others] = await find(name, signal, resolve);
  if (first === undefined) throw new OrkestrError('ORK_NOTIFY_DNS', `The name ${name} has no address.`);
  const judge = makeJudge(ownAddresses(), await guestBridges());
  const allowed = blockListOf(config.allow);
  for (const { address } of [first, ...others]) {
    if (contains(allowed, address)) continue;
    const kind = judge(address);
    if (kind === 'public' || (kind === 'private' && config.allowPrivate)) continue;
    const what =
      kind === 'private' ? 'in a private network' : "one of the hub's own, or does not lead to another machine";
    const leads = address === name ? address : `${name} leads to ${address}, which`;
    throw new OrkestrError('ORK_NOTIFY_ADDRESS', `${leads} is ${what}: the hub sends nothing there.`);
  }
  return [first, ...others];
}

async function find(name: string, signal: AbortSignal, resolve: Resolve): Promise<readonly ResolvedAddress[]> {
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
