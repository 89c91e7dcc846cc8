/** Combines check and dial: connects to a host of the list, by an address that was checked. */
import { once } from 'node:events';
import { type Socket, connect, isIP } from 'node:net';
import type { Kind } from '../../../protocol/address-kind.ts';
import type { HostList } from './host-list.ts';

/** Addresses of a name that are tried, in order. */
const MAX_ADDRESSES = 4;

interface GateOptions {
  readonly hosts: HostList;
  /** All addresses of a name. Called only for names on the list. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** A judge of addresses that reflects the host's current interfaces. */
  readonly judge: () => Promise<(address: string) => Kind>;
  /** Per address, ms. */
  readonly dialTimeoutMs: number;
}

/** Forbidden by the list or by the address. The message is a clause: "evil.example:443 is not in buildHosts". */
export class Refusal extends Error {}

export interface Gate {
  /** @throws Refusal; any other error means that the host is unreachable */
  open(host: string, port: number, signal: AbortSignal): Promise<Socket>;
}

export function makeGate(options: GateOptions): Gate {
  return {
    async open(wanted, port, signal) {
      const host = normal(wanted);
      const asked = `${host}:${port}`;
      if (!options.hosts.admits(host, port)) throw new Refusal(`${asked} is not in buildHosts`);
      const addresses = isIP(host) === 0 ? await options.resolve(host) : [host];
      const judge = await options.judge();
      const allowed = addresses.filter((address) => {
        const kind = judge(address);
        return kind === 'public' || (kind === 'private' && options.hosts.hasAddress(address));
      });
      if (allowed.length === 0 && addresses.length > 0) throw new Refusal(why(asked, addresses[0] ?? '', judge));
      return dialFirst(allowed.slice(0, MAX_ADDRESSES), port, options.dialTimeoutMs, signal);
    },
  };
}

/** Names are compared in lower case and without the trailing dot. */
const normal = (host: string): string => host.toLowerCase().replace(/\.$/, '');

function why(asked: string, address: string, judge: (address: string) => Kind): string {
  return judge(address) === 'private'
    ? `${asked} leads to the private address ${address}, which is not in buildHosts`
    : `${asked} leads to ${address}, which no build may reach`;
}

/** Dials exactly these addresses: resolving the name again could return another answer (DNS rebinding). */
async function dialFirst(
  addresses: readonly string[],
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  let failure: unknown = new Error('the name has no address');
  for (const host of addresses) {
    const socket = connect({ host, port, allowHalfOpen: true });
    try {
      await once(socket, 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
      return socket;
    } catch (error) {
      socket.destroy();
      if (signal.aborted) throw error;
      failure = error;
    }
  }
  throw failure;
}
