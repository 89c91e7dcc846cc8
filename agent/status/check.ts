/** The contract of a status check: one file each, one line in index.ts. */
import type { Clock } from '../deployment/ports.ts';
import type { AgentView } from '../local-api/agent-view.ts';
import type { Finding } from '../local-api/status-report.ts';
import type { ProxyClient } from '../proxy-client/edge-proxy.ts';
import type { Upgrade } from '../upgrade/record.ts';
import type { Remembered } from './remembered.ts';

export interface StatusSubject {
  /** How long to wait for a part that may not answer, ms; absent: ANSWER_MS. */
  readonly answerMs?: number;
  readonly dockerSocket: string;
  readonly stateFolder: string;
  /** Folder of the build engines' sockets and pid files. */
  readonly sandboxFolder: string;
  readonly proxy: Pick<ProxyClient, 'table' | 'certificates' | 'health'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Null if no agent answers for this state folder. */
  readonly agent: AgentView | null;
  /** From the journal, if no agent answers; null: it cannot be read. */
  readonly remembered?: Remembered | null;
  /** An agent runs but does not answer. */
  readonly silent?: boolean;
  /** The last upgrade of this installation; null or absent if there was none. */
  readonly lastUpgrade?: Upgrade | null;
  /** The owner's web server terminates TLS, so visitors do not see the proxy's certificates (docs/beside.md). */
  readonly endsTlsBefore?: boolean;
}

/** What the part of a report says that only a running agent knows. */
export const UNKNOWN: Finding = { level: 'down', summary: 'unknown: no agent answers', data: {} };

export interface Check {
  readonly name: string;
  /** Always ends within some seconds. An error counts as `down`, with its message. */
  run(subject: StatusSubject): Promise<Finding>;
}
