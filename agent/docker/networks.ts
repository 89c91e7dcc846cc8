/** A bridge network per project: its apps reach each other by name, and nobody else's. */
import { createHash } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import { outgoingMtu } from '../lib/host-network.ts';
import { LABEL } from '../lib/labels.ts';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';

/** Name of a project network's interface on the host; firewall rules match its first seven letters. At most 15 long. */
export function bridgeName(scope: string, networkName: string): string {
  const hash = createHash('sha256').update(networkName).digest('hex');
  return `ork${scope.slice(0, 4)}-${hash.slice(0, 7)}`;
}

/** Makes the network when it is absent. */
export async function ensureNetwork(
  engine: Engine,
  scope: string,
  network: { readonly name: string; readonly projectId: string },
): Promise<void> {
  if (await isThere(engine, scope, network.name)) return;
  const mtu = await outgoingMtu();
  try {
    await engine.call(`create network ${network.name}`, (docker, abortSignal) =>
      docker.createNetwork({
        Name: network.name,
        Driver: 'bridge',
        CheckDuplicate: true,
        Options: {
          'com.docker.network.bridge.name': bridgeName(scope, network.name),
          'com.docker.network.bridge.enable_icc': 'true',
          'com.docker.network.driver.mtu': String(mtu),
        },
        Labels: { [LABEL.scope]: scope, [LABEL.project]: network.projectId },
        abortSignal,
      }),
    );
  } catch (error) {
    // Two deployments of one project may have raced; what counts is that it is there.
    if (statusOf(error) !== undefined && (await isThere(engine, scope, network.name))) return;
    throw error;
  }
}

/** Removes the network when nothing is attached to it; nothing to do is fine. */
export async function removeNetwork(engine: Engine, scope: string, name: string): Promise<void> {
  if (!(await isThere(engine, scope, name))) return;
  try {
    await engine.call(`remove network ${name}`, (docker, abortSignal) =>
      docker.getNetwork(name).remove({ abortSignal }),
    );
  } catch (error) {
    // 403: something is still attached, so it stays. 404: another one was faster.
    if (statusOf(error) !== 403 && statusOf(error) !== 404) throw error;
  }
}

/** @throws OrkestrError ORK_CONFLICT when a network of this name is not ours */
async function isThere(engine: Engine, scope: string, name: string): Promise<boolean> {
  const found = await orNull(engine.call(`inspect network ${name}`, (docker) => docker.getNetwork(name).inspect()));
  if (found === null) return false;
  if (found.Labels?.[LABEL.scope] !== scope) {
    throw new OrkestrError('ORK_CONFLICT', `The network ${name} on this host was not made by this agent.`);
  }
  return true;
}
