/** The app logs of this host: of containers of its engine, by the deployments that its journal knows as live. */
import type { Ports } from '../deployment/ports.ts';
import { containerLogs } from '../docker/container-log.ts';
import type { Engine } from '../lib/engine.ts';
import { makeAppLogs } from './app-logs.ts';
import type { AppLogs } from './app-logs.ts';
import { secretsOfVersion } from './secrets.ts';
import type { KnownVersions } from './secrets.ts';

/** @param known all that is needed of the journal: the live deployments and their jobs */
export const hostAppLogs = (
  engine: Engine,
  { containers, clock }: Pick<Ports, 'containers' | 'clock'>,
  known: KnownVersions,
): AppLogs =>
  makeAppLogs({
    live: (environmentId) => known.live(environmentId)?.deploymentId ?? null,
    secrets: (deploymentId) => secretsOfVersion(engine, known, deploymentId),
    containers,
    openLog: containerLogs(engine),
    clock,
  });
