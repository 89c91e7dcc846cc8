/** The contract of a status check: one file each, one line in index.ts. */
import type { EdgeProxy } from '../deployment/ports.ts';

/** ok: nothing to do. degraded: it works, but a person should look. down: deployments or visitors are affected. */
export type Level = 'ok' | 'degraded' | 'down';

export interface Finding {
  readonly level: Level;
  /** One line for people. */
  readonly summary: string;
  /** More lines for people, one fact each. */
  readonly details?: readonly string[];
  /** The same for programs. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** What the running agent knows of itself. */
export interface AgentView {
  readonly version: string;
  readonly hostId: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
  /** Null for a host without a hub. */
  readonly hub: {
    readonly hubUrl: string;
    readonly connected: boolean;
    readonly since: string;
    readonly lastError: string | null;
  } | null;
  readonly deployments: readonly {
    readonly deploymentId: string;
    readonly environmentId: string;
    readonly state: string;
    readonly step: string | null;
  }[];
  /** Reports that wait for the hub. */
  readonly outbox: number;
}

export interface StatusSubject {
  readonly dockerSocket: string;
  readonly stateFolder: string;
  readonly proxy: Pick<EdgeProxy, 'table'>;
  /** Null when no agent answers for this state folder. */
  readonly agent: AgentView | null;
  /** An agent runs and does not answer. */
  readonly silent?: boolean;
}

export interface Check {
  readonly name: string;
  /** Always ends within some seconds; throwing counts as `down` with the error's sentence. */
  run(subject: StatusSubject): Promise<Finding>;
}
