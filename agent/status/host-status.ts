/** What the host tells the hub with every heartbeat. Whatever does not answer is told as such, and in time. */
import type { HostStatus } from '../../protocol/agent-link.ts';
import type { EdgeProxy } from '../deployment/ports.ts';
import { readEngine } from '../host-facts/engine-info.ts';
import { failingCertificates } from './failing-certificates.ts';
import { cgroupVersion, disk, memory } from '../host-facts/machine.ts';

interface HostStatusSources {
  readonly agentVersion: string;
  readonly dockerSocket: string;
  readonly stateFolder: string;
  readonly proxy: Pick<EdgeProxy, 'table' | 'certificates'>;
  /** A web server of the owner has the certificates. */
  readonly endsTlsBefore: boolean;
  readonly outboxSize: () => number;
  /** Ms since 1970. */
  readonly now: () => number;
}

export async function hostStatus(sources: HostStatusSources): Promise<HostStatus> {
  const [engine, proxy, certificates, memoryFacts, diskFacts] = await Promise.all([
    readEngine(sources.dockerSocket).catch(() => null), // not answering is the news
    sources.proxy.table().then(
      () => true,
      () => false, // the same
    ),
    sources.proxy.certificates().then(
      (list) => (sources.endsTlsBefore ? [] : failingCertificates(list, sources.now())),
      () => null, // the same: what is known of them stays as it was
    ),
    memory(),
    disk(sources.stateFolder),
  ]);
  return {
    agentVersion: sources.agentVersion,
    engine: { reachable: engine !== null, version: engine?.version ?? null, liveRestore: engine?.liveRestore ?? null },
    proxy: { reachable: proxy },
    cgroupVersion: cgroupVersion(),
    memory: memoryFacts,
    disk: { totalBytes: diskFacts.totalBytes, availableBytes: diskFacts.availableBytes },
    outbox: sources.outboxSize(),
    ...(certificates !== null && { certificates }),
  };
}
