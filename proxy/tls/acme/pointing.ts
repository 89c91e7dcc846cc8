/**
 * Checks whether a host name points here. A CA is asked only for names that do, because each failed validation counts
 * against its limits.
 *
 * Every address in DNS must be ours, since the CA may use any of them. An address is ours when a network interface has
 * it, when it is configured, or when an HTTP request to it gets an answer that only this proxy can give, as behind NAT
 * or a CDN. That request is also what HTTP-01 validation does, so the check cannot pass where the CA would reach
 * another server; /etc/hosts is not consulted, because the CA does not see it. The check can fail where the CA would
 * succeed: behind NAT without hairpin. There the address has to be configured.
 */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Challenges } from './challenges.ts';

const PROBE_TIMEOUT_MS = 5_000;
/** A single host has no more addresses than this. */
const MAX_ADDRESSES = 8;

export interface PointingDependencies {
  /** All addresses of a name in DNS; empty when it has none. Rejects when DNS does not answer. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** Public addresses of this host, in addition to those of its interfaces. */
  readonly publicAddresses: readonly string[];
  /** How long an address may take to respond, ms. */
  readonly probeTimeoutMs?: number;
  /** The port that the CA connects to: 80. */
  readonly httpPort: number;
  readonly challenges: Challenges;
  /** Whether requests may be sent to an address from DNS: {@link isOutside}. */
  readonly mayProbe: (address: string) => boolean;
  /** Aborts the check. */
  readonly signal: AbortSignal;
}

/** @throws OrkestrError ORK_ACME_DNS naming the address that is not ours */
export async function checkPointing(host: string, dependencies: PointingDependencies): Promise<void> {
  const addresses = await resolve(host, dependencies);
  const own = new BlockList();
  for (const address of [...interfaceAddresses(), ...dependencies.publicAddresses])
    own.addAddress(address, familyOf(address));
  for (const address of addresses) {
    if (own.check(address, familyOf(address))) continue;
    const found = await probe(host, address, dependencies);
    if (found === null) continue;
    const sentence = `${host} points to ${addresses.join(', ')}, and ${address} is not this host (${found.reason}).`;
    throw new OrkestrError('ORK_ACME_DNS', `${sentence}${HINTS[found.kind](address)}`);
  }
}

/** What may help. */
const HINTS: Readonly<Record<NotOurs['kind'], (address: string) => string>> = {
  silent: (address) =>
    ` If your router forwards it to this host, set ORKESTR_PROXY_PUBLIC=${address} in proxy.env (docs/tls.md).`,
  answers: () => '',
  redirects: () =>
    ' If a CDN in front of this host sends it, except /.well-known/acme-challenge/ from its redirects (docs/tls.md).',
};

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

async function resolve(host: string, dependencies: PointingDependencies): Promise<readonly string[]> {
  let addresses: readonly string[];
  try {
    addresses = await untilAborted(dependencies.resolve(host), dependencies.signal);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new OrkestrError('ORK_ACME_DNS', `DNS has no answer for ${host}: ${reason}.`, { cause: error });
  }
  if (addresses.length === 0) throw new OrkestrError('ORK_ACME_DNS', `DNS has no address for ${host}.`);
  if (addresses.length <= MAX_ADDRESSES) return addresses;
  throw new OrkestrError('ORK_ACME_DNS', `${host} has ${addresses.length} addresses, more than ${MAX_ADDRESSES}.`);
}

/** A DNS query cannot be cancelled; after the abort its answer is ignored. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', abort));
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ internal, address }) => (internal ? [] : address));
}

interface NotOurs {
  readonly reason: string;
  /** `silent`: nothing responded to us; others may still reach this host there. */
  readonly kind: 'silent' | 'answers' | 'redirects';
}

/** Null: the address is ours. */
async function probe(host: string, address: string, dependencies: PointingDependencies): Promise<NotOurs | null> {
  const { httpPort, challenges, mayProbe, probeTimeoutMs = PROBE_TIMEOUT_MS, signal } = dependencies;
  if (!mayProbe(address)) return { reason: 'a loopback, link-local or multicast address', kind: 'answers' };
  const [token, answer] = [randomBytes(24).toString('base64url'), randomBytes(24).toString('base64url')];
  const timeout = AbortSignal.timeout(probeTimeoutMs);
  const end = AbortSignal.any([signal, timeout]);
  try {
    const got = await challenges.whileHttp(token, answer, () => fetchAnswer(host, address, httpPort, token, end));
    return got.text === answer ? null : notOurs(got);
  } catch (error) {
    // An unreachable address counts as not ours; the message gives the reason.
    const { code } = error as NodeJS.ErrnoException;
    const reason = timeout.aborted
      ? `no answer within ${probeTimeoutMs / 1000} s`
      : `no answer: ${code ?? String(error)}`;
    return { reason, kind: 'silent' };
  }
}

interface Answer {
  readonly status: number;
  /** Origin of the Location field, such as `https://a.example.com`; null if there is none that can be read. */
  readonly location: string | null;
  /** Of an answer with 200 only. */
  readonly text: string;
}

function notOurs({ status, location }: Answer): NotOurs {
  if (status < 300 || status > 399) return { reason: `another server answers there, with ${status}`, kind: 'answers' };
  return { reason: `the answer is a redirect, ${status} to ${location ?? 'no address'}`, kind: 'redirects' };
}

function fetchAnswer(host: string, address: string, port: number, token: string, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const path = `/.well-known/acme-challenge/${token}`;
  const outgoing = request({ host: address, port, path, headers: { host }, agent: false, signal }, (response) => {
    const { statusCode: status = 0, headers } = response;
    const location = headers.location === undefined ? null : originOf(headers.location, `http://${host}${path}`);
    if (status !== 200) {
      resolve({ status, location, text: '' });
      response.on('error', () => undefined).destroy(); // its status is all that counts
      return;
    }
    let text = '';
    response.setEncoding('latin1').on('error', reject);
    response.on('data', (chunk: string) => {
      text += chunk;
      if (text.length <= 1024) return;
      // Our own answer is shorter.
      resolve({ status, location, text: '' });
      response.destroy();
    });
    response.on('end', () => resolve({ status, location, text }));
  });
  outgoing.on('error', reject);
  outgoing.end();
  return promise;
}

function originOf(location: string, base: string): string | null {
  const { origin } = URL.parse(location, base) ?? {};
  return origin === undefined || origin === 'null' ? null : origin;
}

/**
 * False for loopback, link-local and multicast addresses: anybody can write DNS records, and these must not direct our
 * requests to services of this machine or its link (cloud metadata at 169.254.169.254).
 */
export function isOutside(address: string): boolean {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addSubnet('0.0.0.0', 8, 'ipv4');
  list.addSubnet('169.254.0.0', 16, 'ipv4');
  list.addSubnet('224.0.0.0', 3, 'ipv4');
  list.addAddress('::1', 'ipv6');
  list.addAddress('::', 'ipv6');
  list.addSubnet('fe80::', 10, 'ipv6');
  list.addSubnet('ff00::', 8, 'ipv6');
  return !list.check(address, familyOf(address));
}
