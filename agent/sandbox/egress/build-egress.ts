/** Network access for a build that may reach only listed hosts: its network leads only to our forward proxy. */
import { lookup } from 'node:dns/promises';
import { makeJudge } from '../../../protocol/address-kind.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { StepLog } from '../../deployment/ports.ts';
import { hostAddresses } from '../../lib/host-network.ts';
import { guestInterfaces } from '../../lib/off-limits.ts';
import type { SandboxNetwork } from '../network/network.ts';
import { startForwardProxy } from './forward-proxy.ts';
import { makeGate } from './gate.ts';
import { makeHostList } from './host-list.ts';

const DIAL_TIMEOUT_MS = 10_000;
/** Distinct refusals that are reported. */
const MAX_REFUSALS = 30;

/** Build arguments that name the proxy to programs of RUN steps. They appear in neither history nor cache keys. */
export type ProxyArguments = Readonly<Record<string, string>>;

/**
 * Runs `work` with access to `hosts` only; absent: unrestricted internet access.
 * @throws what `work` throws, with the refused hosts as evidence
 */
export async function withEgress<T>(
  network: SandboxNetwork,
  hosts: readonly string[] | undefined,
  log: StepLog,
  work: (proxyArguments: ProxyArguments) => Promise<T>,
): Promise<T> {
  if (hosts === undefined) return work({});
  const ends = await network.ends();
  const refusals = makeRefusals(log);
  const gate = makeGate({
    hosts: makeHostList(hosts),
    resolve: shared(resolve),
    judge: shared(judgeNow),
    dialTimeoutMs: DIAL_TIMEOUT_MS,
  });
  const proxy = await startForwardProxy({ address: ends.host, client: ends.engine, gate, onRefused: refusals.add });
  try {
    await network.restrictTo(proxy.port);
    log.line(
      hosts.length === 0 ? 'Network: none, buildHosts is empty' : `Network: nothing but buildHosts (${hosts.length})`,
    );
    return await work(proxyArguments(`http://${ends.host}:${proxy.port}`));
  } catch (error) {
    throw refusals.addTo(error);
  } finally {
    await proxy.close();
  }
}

/** Docker's predefined arguments (Dockerfile reference, "Predefined ARGs"). Programs differ in the case they read. */
function proxyArguments(url: string): ProxyArguments {
  const upper = { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: 'localhost,127.0.0.1,::1' };
  return Object.fromEntries(
    Object.entries(upper).flatMap(([name, value]) => [
      [name, value],
      [name.toLowerCase(), value],
    ]),
  );
}

const resolve = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);

/** Not cached: addresses come and go with containers, even during a build. */
const judgeNow = async (): Promise<ReturnType<typeof makeJudge>> =>
  makeJudge(await hostAddresses(), await guestInterfaces());

/** Makes concurrent calls with the same key share one result: a build may open hundreds of connections at once. */
function shared<T>(work: (key: string) => Promise<T>): (key?: string) => Promise<T> {
  const underWay = new Map<string, Promise<T>>();
  return (key = '') => {
    const answer = underWay.get(key) ?? work(key).finally(() => underWay.delete(key));
    underWay.set(key, answer);
    return answer;
  };
}

/** The engine itself fetches the URL of an ADD. It does not use the proxy, and has no other route. */
function adviceFor({ message }: OrkestrError): string[] {
  if (!/\bdial (?:tcp|udp)\b.*permission denied/s.test(message)) return [];
  return ['ADD takes no URL in a build with buildHosts, because only RUN steps get its proxy: use RUN curl'];
}

interface Refusals {
  readonly add: (refusal: string) => void;
  /** The error with the refusals prepended to its evidence. */
  addTo(error: unknown): unknown;
}

function makeRefusals(log: StepLog): Refusals {
  const told = new Set<string>();
  return {
    add(refusal) {
      if (told.size >= MAX_REFUSALS || told.has(refusal)) return;
      told.add(refusal);
      log.line(`refused: ${refusal}`);
      if (told.size === MAX_REFUSALS) log.line('Further refusals are not listed');
    },
    addTo(error) {
      if (!(error instanceof OrkestrError)) return error;
      const evidence = [...[...told].map((refusal) => `refused: ${refusal}`), ...adviceFor(error), ...error.evidence];
      return new OrkestrError(error.code, error.message, { evidence, cause: error });
    },
  };
}
