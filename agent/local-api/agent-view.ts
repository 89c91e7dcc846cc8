/** The running agent's view of itself, for programs on its host. */
import { z } from 'zod';

const LinkView = z.object({
  hubUrl: z.string(),
  connected: z.boolean(),
  /** ISO 8601: time of the last change of `connected` or `lastError`. */
  since: z.string(),
  lastError: z.string().nullable(),
  /** Code of `lastError`, if it has one. */
  lastCode: z.string().nullable(),
  /** When the hub last sent anything, ISO 8601; null: never since the agent started. */
  lastContact: z.string().nullable(),
  /** When another machine with the identity of this host last took over the connection, ISO 8601. */
  twiceAt: z.string().optional(),
});

/** The running agent's view of itself. */
export const AgentView = z.object({
  version: z.string(),
  hostId: z.string(),
  pid: z.number(),
  /** ISO 8601. */
  since: z.string(),
  /** Null for a host without a hub. */
  hub: LinkView.nullable(),
  /** Waiting and running deployments. */
  deployments: z.array(
    z.object({
      deploymentId: z.string(),
      environmentId: z.string(),
      state: z.string(),
      step: z.string().nullable(),
    }),
  ),
  /** The most recent deployments, newest first. */
  recent: z.array(
    z.object({
      deploymentId: z.string(),
      /** `project/environment` if known, else the environment's id. */
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
  /** Live apps that are down. Absent: the agent has not watched them for long enough, or is older. */
  downApps: z
    .array(
      z.object({
        /** As in `recent`. */
        environment: z.string(),
        deploymentId: z.string(),
        /** ISO 8601. */
        since: z.string(),
        /** How often Docker has restarted the container. */
        restarts: z.number(),
        errorCode: z.string(),
        message: z.string(),
      }),
    )
    .optional(),
});
export type AgentView = Readonly<z.infer<typeof AgentView>>;
