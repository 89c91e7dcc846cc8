/** A build that may reach the hosts of a list and nothing else: our forward proxy is all that its network leads to. */
import { lookup } from 'node:dns/promises';
import { makeJudge } from '../../../protocol/address-kind.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { StepLog } from '../../deployment/ports.ts';
import { hostAddresses } from '../../lib/host-network.ts';
import { guestInterfaces } from '../../lib/off-limits.ts';
import type { SandboxNetwork } from '../network.ts';
import { startForwardProxy } from './forward-proxy.ts';
import { makeGate } from './gate.ts';
import { makeHostList } from './host-list.ts';

const DIAL_TIMEOUT_MS = 10_000;
/** Different refusals that are told. */
const MAX_REFUSALS = 30;

/** Build arguments: they name the proxy to the programs of RUN steps, and stand neither in history nor in cache keys. */
export type ProxyArguments = Readonly<Record<string, string>>;

/**
 * Does `work` with what a build needs to reach `hosts`; absent: the internet, without anything more.
 * @throws what `work` throws, with what was refused as evidence
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

/** Docker's predefined arguments (Dockerfile reference, "Predefined ARGs"). Programs differ in the case they look for. */
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

/** Addresses come and go with containers, also while a build runs. */
const judgeNow = async (): Promise<ReturnType<typeof makeJudge>> =>
  makeJudge(await hostAddresses(), await guestInterfaces());

/** `work`, where calls that come while an equal one is under way get its answer: a build may open hundreds at once. */
function shared<T>(work: (key: string) => Promise<T>): (key?: string) => Promise<T> {
  const underWay = new Map<string, Promise<T>>();
  return (key = '') => {
    const answer = underWay.get(key) ?? work(key).finally(() => underWay.delete(key));
    underWay.set(key, answer);
    return answer;
  };
}

/** ADD of a URL is the engine's own errand, which knows nothing of the proxy and finds no way out. */
function adviceFor({ message }: OrkestrError): string[] {
  if (!/\bdial (?:tcp|udp)\b.*permission denied/s.test(message)) return [];
  return ['ADD takes no URL in a build with buildHosts, because only RUN steps get its proxy: use RUN curl'];
}

interface Refusals {
  readonly add: (refusal: string) => void;
  /** The error with the refusals before its own evidence. */
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
