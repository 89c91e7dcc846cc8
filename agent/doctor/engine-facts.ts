/** What the doctor reads from Docker Engine: each request at most once for all checks. */
import { z } from 'zod';
import { askEngine } from '../docker/ask.ts';
import { LABEL } from '../lib/labels.ts';
import { once } from './once.ts';

const Version = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().default('1.0'),
  Components: z.array(z.object({ Name: z.string(), Version: z.string() })).default([]),
});

const Info = z.object({
  Driver: z.string(),
  DriverStatus: z.array(z.array(z.string())).nullable().default([]),
  DockerRootDir: z.string(),
  LiveRestoreEnabled: z.boolean(),
  CgroupVersion: z.string().default('1'),
  MemoryLimit: z.boolean().default(true),
  SwapLimit: z.boolean().default(true),
  CpuCfsQuota: z.boolean().default(true),
  PidsLimit: z.boolean().default(true),
  FirewallBackend: z.object({ Driver: z.string() }).default({ Driver: 'iptables' }),
  Swarm: z.object({ LocalNodeState: z.string() }).default({ LocalNodeState: 'inactive' }),
});

const Labels = z.record(z.string(), z.string()).nullable().default({});

const Containers = z.array(
  z.object({
    Id: z.string(),
    Names: z.array(z.string()),
    State: z.string(),
    ImageID: z.string(),
    Labels,
    NetworkSettings: z
      .object({ Networks: z.record(z.string(), z.object({ IPAddress: z.string().default('') })).nullable() })
      .optional(),
  }),
);
const Images = z.array(z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullable(), Labels }));
const Networks = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    Labels,
    IPAM: z.object({ Config: z.array(z.object({ Subnet: z.string() })).nullable() }).default({ Config: null }),
  }),
);

export type EngineVersion = z.infer<typeof Version>;
export type EngineInfo = z.infer<typeof Info>;
export type EngineContainer = z.infer<typeof Containers>[number];
export type EngineImage = z.infer<typeof Images>[number];
type EngineNetwork = z.infer<typeof Networks>[number];

/**
 * Every call throws OrkestrError ORK_ENGINE_UNREACHABLE or ORK_ENGINE_TIMEOUT. The lists contain only what agents made.
 */
export interface EngineAsked {
  version(): Promise<EngineVersion>;
  info(): Promise<EngineInfo>;
  containers(): Promise<readonly EngineContainer[]>;
  images(): Promise<readonly EngineImage[]>;
  networks(): Promise<readonly EngineNetwork[]>;
  /** Whether there is an image of this name, also one that no agent made. */
  hasImage(name: string): Promise<boolean>;
  /** Whether any container is attached to a network, running or stopped, also one that no agent made. */
  isAttached(networkName: string): Promise<boolean>;
}

export function askedEngine(socketPath: string, deadlineMs: number): EngineAsked {
  const ask = <T>(path: string, schema: z.ZodType<T>): Promise<T> =>
    askEngine(socketPath, { path, schema, deadlineMs });
  const filters = `filters=${encodeURIComponent(JSON.stringify({ label: [LABEL.scope] }))}`;
  return {
    version: once(() => ask('/version', Version)),
    info: once(() => ask('/info', Info)),
    containers: once(() => ask(`/containers/json?all=1&${filters}`, Containers)),
    images: once(() => ask(`/images/json?${filters}`, Images)),
    networks: once(() => ask(`/networks?${filters}`, Networks)),
    async hasImage(name) {
      const path = `/images/${encodeURI(name)}/json`;
      const schema = z.object({ Id: z.string() }).nullable();
      return (await askEngine(socketPath, { path, schema, ifMissing: null, deadlineMs })) !== null;
    },
    async isAttached(networkName) {
      const attached = encodeURIComponent(JSON.stringify({ network: [networkName] }));
      return (await ask(`/containers/json?all=1&filters=${attached}`, Containers)).length > 0;
    },
  };
}
