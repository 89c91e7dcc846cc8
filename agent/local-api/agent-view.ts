/** What the running agent knows of itself, as it tells it to programs on its host. */
import { z } from 'zod';

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
