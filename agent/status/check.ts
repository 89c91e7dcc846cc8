/** The contract of a status check: one file each, one line in index.ts. */
import type { Clock } from '../deployment/ports.ts';
import type { AgentView } from '../local-api/agent-view.ts';
import type { Finding } from '../local-api/status-report.ts';
import type { ProxyClient } from '../proxy-client/edge-proxy.ts';
import type { Upgrade } from '../upgrade/record.ts';

export interface StatusSubject {
  /** How long what may not answer is waited for, ms; absent: ANSWER_MS. */
  readonly answerMs?: number;
  readonly dockerSocket: string;
  readonly stateFolder: string;
  /** Folder of the build engines' sockets and pid files. */
  readonly sandboxFolder: string;
  readonly proxy: Pick<ProxyClient, 'table' | 'certificates' | 'health'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Null when no agent answers for this state folder. */
  readonly agent: AgentView | null;
  /** An agent runs and does not answer. */
  readonly silent?: boolean;
  /** Of this installation; null or absent: there was none. */
  readonly lastUpgrade?: Upgrade | null;
  /** A web server of the owner has the certificates: those of the proxy nobody sees (docs/beside.md). */
  readonly endsTlsBefore?: boolean;
}

export interface Check {
  readonly name: string;
  /** Always ends within some seconds; throwing counts as `down` with the error's sentence. */
  run(subject: StatusSubject): Promise<Finding>;
}
