/** Builds the adapters of one host, for the agent, its CLI and the uninstallation. */
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Ports } from './deployment/ports.ts';
import { makeContainerRuntime } from './docker/containers.ts';
import { makeEngine } from './docker/engine.ts';
import { makeImageStore } from './docker/images.ts';
import { makeFirewall } from './firewall/firewall.ts';
import type { Firewall } from './firewall/firewall.ts';
import { makeSourceControl } from './git/source-control.ts';
import { systemClock } from './lib/clock.ts';
import type { Engine } from './lib/engine.ts';
import { makeProxyClient } from './proxy-client/edge-proxy.ts';
import { makeImageRegistry } from './registry/pull.ts';
import { makeImageBuilder } from './sandbox/build/builder.ts';
import { makeSandbox } from './sandbox/sandbox.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { makeWorkspaces } from './git/workspaces.ts';

/** Folder of clones in progress, with their git configuration, which holds the token. */
export const gitFolder = (config: Config): string => join(config.stateFolder, 'git');

/** The parts of the host that the agent works with. Everything it makes there is marked with its scope. */
export interface Host {
  readonly engine: Engine;
  readonly firewall: Firewall;
  readonly sandbox: Sandbox;
  readonly ports: Ports;
  listWorkspaces(): Promise<readonly string[]>;
}

/**
 * @param scope marks everything that is made
 * @param hubUrl where this host reaches its hub, for clones; null if there is no hub or nothing is cloned
 */
export function buildHost(config: Config, scope: string, hubUrl: string | null): Host {
  const engine = makeEngine({ socketPath: config.dockerSocket });
  const firewall = makeFirewall({ scope, appsReachEdge: config.appsReachEdge });
  const sandbox = makeSandbox({
    scope,
    stateDirectory: join(config.stateFolder, 'sandbox'),
    runDirectory: config.sandboxFolder,
    openEngine: (socketPath) => makeEngine({ socketPath, disk: 'build' }),
    slots: config.buildSlots,
    diskMiB: config.buildDiskMiB,
    clock: systemClock,
    ...(config.buildIdleSeconds !== null && { idleMs: config.buildIdleSeconds * 1000 }),
  });
  const images = makeImageStore(engine, { scope });
  const workspaces = makeWorkspaces(join(config.stateFolder, 'workspaces'));
  return {
    engine,
    firewall,
    sandbox,
    listWorkspaces: () => workspaces.list(),
    ports: {
      sourceControl: makeSourceControl({ privateDirectory: gitFolder(config), hubUrl }),
      builder: makeImageBuilder({
        scope,
        engine,
        imagesOf: (of) => makeImageStore(of, { scope }),
        sandbox,
        clock: systemClock,
      }),
      images,
      registry: makeImageRegistry(engine, { scope }),
      containers: makeContainerRuntime(engine, { scope, beforeStart: () => firewall.ensure() }),
      proxy: makeProxyClient(config.proxySocket),
      workspaces,
      clock: systemClock,
      baseImages: config.baseImages,
    },
  };
}
