/** The status that the host sends to the hub with every heartbeat. It says so if a part does not respond in time. */
import type { DownApp, HostStatus } from '../../protocol/agent-link.ts';
import type { EdgeProxy } from '../deployment/ports.ts';
import { readEngine } from '../host-facts/engine-info.ts';
import { failingCertificates } from './failing-certificates.ts';
import { cgroupVersion, disk, memory } from '../host-facts/machine.ts';

interface HostStatusSources {
  readonly agentVersion: string;
  readonly dockerSocket: string;
  readonly stateFolder: string;
  readonly proxy: Pick<EdgeProxy, 'table' | 'certificates'>;
  /** The owner's web server terminates TLS. */
  readonly endsTlsBefore: boolean;
  readonly outboxSize: () => number;
  /** Null: not known yet. */
  readonly downApps: () => DownApp[] | null;
  /** Ms since 1970. */
  readonly now: () => number;
}

export async function hostStatus(sources: HostStatusSources): Promise<HostStatus> {
  const [engine, proxy, certificates, memoryFacts, diskFacts] = await Promise.all([
    readEngine(sources.dockerSocket).catch(() => null), // not responding is the result
    sources.proxy.table().then(
      () => true,
      () => false, // likewise
    ),
    sources.proxy.certificates().then(
      (list) => (sources.endsTlsBefore ? [] : failingCertificates(list, sources.now())),
      () => null, // likewise: the hub keeps what it knows of them
    ),
    memory(),
    disk(sources.stateFolder),
  ]);
  const downApps = sources.downApps();
  return {
    agentVersion: sources.agentVersion,
    engine: { reachable: engine !== null, version: engine?.version ?? null, liveRestore: engine?.liveRestore ?? null },
    proxy: { reachable: proxy },
    cgroupVersion: cgroupVersion(),
    memory: memoryFacts,
    disk: { totalBytes: diskFacts.totalBytes, availableBytes: diskFacts.availableBytes },
    outbox: sources.outboxSize(),
    ...(certificates !== null && { certificates }),
    ...(downApps !== null && { downApps }),
  };
}
