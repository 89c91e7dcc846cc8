/** What the host tells the hub with every heartbeat. Whatever does not answer is told as such, and in time. */
import type { HostStatus } from '../../protocol/agent-link.ts';
import type { EdgeProxy } from '../deployment/ports.ts';
import { readEngine } from './engine.ts';
import { cgroupVersion, disk, memory } from './host.ts';

interface HostStatusSources {
  readonly agentVersion: string;
  readonly dockerSocket: string;
  readonly stateFolder: string;
  readonly proxy: Pick<EdgeProxy, 'table'>;
  readonly outboxSize: () => number;
}

export async function hostStatus(sources: HostStatusSources): Promise<HostStatus> {
  const [engine, proxy, memoryFacts, diskFacts] = await Promise.all([
    readEngine(sources.dockerSocket).catch(() => null), // not answering is the news
    sources.proxy.table().then(
      () => true,
      () => false, // the same
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
  };
}
