/** The contract of a status check: one file each, one line in index.ts. */
import { z } from 'zod';
import type { Clock } from '../deployment/ports.ts';
import type { ProxyClient } from '../proxy-client/edge-proxy.ts';
import type { Upgrade } from '../upgrade/record.ts';

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

const LinkView = z.object({
  hubUrl: z.string(),
  connected: z.boolean(),
  /** ISO 8601: since when it is as it is. */
  since: z.string(),
  lastError: z.string().nullable(),
  /** Code of `lastError`, where it has one. */
  lastCode: z.string().nullable(),
  /** When the hub was last heard, ISO 8601; null: not since the agent started. */
  lastContact: z.string().nullable(),
  /** When another machine with the identity of this host was connected, ISO 8601. */
  twiceAt: z.string().optional(),
});

/** What the running agent knows of itself. */
export const AgentView = z.object({
  version: z.string(),
  hostId: z.string(),
  pid: z.number(),
  /** ISO 8601. */
  since: z.string(),
  /** Null for a host without a hub. */
  hub: LinkView.nullable(),
  /** What waits and runs. */
  deployments: z.array(
    z.object({
      deploymentId: z.string(),
      environmentId: z.string(),
      state: z.string(),
      step: z.string().nullable(),
    }),
  ),
  /** The newest of all, the last one first. */
  recent: z.array(
    z.object({
      deploymentId: z.string(),
      /** `project/environment` where it is known, else the environment's id. */
      environment: z.string(),
      kind: z.string(),
      state: z.string(),
      /** ISO 8601; null: no step has begun. */
      startedAt: z.string().nullable(),
      errorCode: z.string().nullable(),
    }),
  ),
  /** Reports that wait for the hub. */
  outbox: z.number(),
});
export type AgentView = Readonly<z.infer<typeof AgentView>>;

/** How long Docker Engine, proxy, and the count of a cache may take, ms: `status` ends within 2 s whatever hangs. */
export const ANSWER_MS = 900;

export interface StatusSubject {
  /** How long what may not answer is waited for, ms; absent: {@link ANSWER_MS}. */
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
