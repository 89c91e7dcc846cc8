/** Converts the engine's data about a container to our types. */
import type { ContainerInspectInfo } from 'dockerode';
import type { ContainerState } from '../deployment/ports.ts';
import { LABEL } from '../lib/labels.ts';

const MAX_HEALTH_OUTPUT = 2000;

/** @param killed whether the kernel is known to have killed a process of the container for lack of memory */
export function toState(info: ContainerInspectInfo, killed: boolean): ContainerState {
  const { State: state, Config: config, NetworkSettings: network } = info;
  const labels = config.Labels ?? {};
  const running = state.Running && !state.Restarting;
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ''),
    deploymentId: labels[LABEL.deployment] ?? '',
    environmentId: labels[LABEL.environment] ?? '',
    projectId: labels[LABEL.project] ?? '',
    running,
    address: running ? addressOf(network) : null,
    exitCode: running || state.Status === 'created' ? null : state.ExitCode,
    oomKilled: state.OOMKilled || killed,
    startedAt: state.StartedAt,
    restarts: info.RestartCount,
    ...healthOf(state.Health),
    pid: running && state.Pid > 0 ? state.Pid : null,
  };
}

function addressOf(network: ContainerInspectInfo['NetworkSettings']): string | null {
  const addresses = Object.values(network.Networks).map(({ IPAddress }) => IPAddress);
  return addresses.find((address) => address !== '') ?? null;
}

type Health = Pick<ContainerState, 'imageHealth' | 'imageHealthOutput'>;

function healthOf(health: ContainerInspectInfo['State']['Health']): Health {
  const status = health?.Status;
  const isKnown = status === 'starting' || status === 'healthy' || status === 'unhealthy';
  return {
    imageHealth: isKnown ? status : null,
    imageHealthOutput: health?.Log?.at(-1)?.Output.slice(-MAX_HEALTH_OUTPUT) ?? null,
  };
}
