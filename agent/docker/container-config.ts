/** The configuration of every app container: it permits only what its deployment asked for. */
import type { ContainerCreateOptions } from 'dockerode';
import type { ContainerRequest } from '../deployment/ports.ts';
import { ownerLabels } from '../lib/labels.ts';

const MIB = 1_048_576;

/** Options of a hardened container: docs/isolation.md, CIS Docker Benchmark 1.6 section 5. */
export function containerConfig(scope: string, request: ContainerRequest): ContainerCreateOptions {
  const memory = request.limits.memoryMiB * MIB;
  const scratch = `rw,exec,nosuid,nodev,mode=1777,size=${Math.floor(memory / 2)}`;
  return {
    name: request.name,
    Image: request.imageId,
    ...(request.command === undefined ? {} : { Entrypoint: [], Cmd: [...request.command] }),
    Env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
    Labels: ownerLabels(scope, request.owner),
    HostConfig: {
      CapDrop: ['ALL'],
      CapAdd: [...request.capabilities],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: request.readOnlyRoot,
      // Both count against the memory limit. /run hides what the image has there, so it is mounted only if the app
      // cannot write otherwise.
      Tmpfs: { '/tmp': scratch, ...(request.readOnlyRoot ? { '/run': scratch } : {}) },
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(request.limits.cpus * 1e9),
      PidsLimit: request.limits.pids,
      Init: true,
      NetworkMode: request.networkName,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      // No restart policy yet: a crash on start must be noticed. `keepRunning` sets one when the app goes live.
      RestartPolicy: { Name: 'no' },
    },
  };
}
