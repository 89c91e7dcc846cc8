/** One bridge network per project: its apps reach each other by name, and no others. */
import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { OrkestrError } from '../../protocol/errors.ts';
import { networksAround, outgoingMtu } from '../lib/host-network.ts';
import { LABEL } from '../lib/labels.ts';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';
import { removeUnattachedNetwork } from './remove.ts';
import { freeSubnets } from './subnets.ts';

/** Wording of engines before version 27, and since then. */
const NONE_LEFT = /non-overlapping IPv4 address pool|address pools have been fully subnetted/;
/** Another network uses the subnet, in the words of Docker and of its bridge driver. */
const OVERLAPS = /overlap/i;

/** Name of a project network's interface on the host, at most 15 characters; firewall rules match its first seven. */
export function bridgeName(scope: string, networkName: string): string {
  const hash = createHash('sha256').update(networkName).digest('hex');
  return `ork${scope.slice(0, 4)}-${hash.slice(0, 7)}`;
}

/** Creates the network if it is absent. */
export async function ensureNetwork(
  engine: Engine,
  scope: string,
  network: { readonly name: string; readonly projectId: string },
): Promise<void> {
  if (await isThere(engine, scope, network.name)) return;
  const mtu = await outgoingMtu();
  const create = (subnet?: string): Promise<unknown> =>
    engine.call(`create network ${network.name}`, (docker, abortSignal) =>
      docker.createNetwork({
        Name: network.name,
        Driver: 'bridge',
        CheckDuplicate: true,
        ...(subnet !== undefined && { IPAM: { Config: [{ Subnet: subnet }] } }),
        Options: {
          'com.docker.network.bridge.name': bridgeName(scope, network.name),
          'com.docker.network.bridge.enable_icc': 'true',
          'com.docker.network.driver.mtu': String(mtu),
        },
        Labels: { [LABEL.scope]: scope, [LABEL.project]: network.projectId },
        abortSignal,
      }),
    );
  try {
    await inSomeSubnet(engine, create);
  } catch (error) {
    // Two deployments of one project may have raced; what counts is that the network exists.
    if (statusOf(error) !== undefined && (await isThere(engine, scope, network.name))) return;
    throw error;
  }
}

/**
 * Creates the network in a subnet of Docker's choice as long as it has any: 31 networks per host with the default
 * pools.
 * @throws OrkestrError ORK_SUBNET_NONE
 */
async function inSomeSubnet(engine: Engine, create: (subnet?: string) => Promise<unknown>): Promise<void> {
  const refusal = await refused(create(), NONE_LEFT);
  if (refusal === null) return;
  for (const subnet of await subnetsToTry(engine)) {
    if ((await refused(create(subnet), OVERLAPS)) === null) return;
  }
  throw new OrkestrError('ORK_SUBNET_NONE', 'This host has no free subnet left for the network of the project.', {
    evidence: [refusal.message.trim()],
    cause: refusal,
  });
}

/** None if an admin configured Docker's pools: only the admin knows which other subnets are free at the site. */
async function subnetsToTry(engine: Engine): Promise<readonly string[]> {
  const { DefaultAddressPools: pools } = await engine.call(
    'read its address pools',
    (docker) => docker.info() as Promise<{ DefaultAddressPools?: readonly unknown[] | null }>,
  );
  if (pools && pools.length > 0) return [];
  const networks = await engine.call('list networks', (docker, abortSignal) => docker.listNetworks({ abortSignal }));
  const subnets = networks.flatMap(({ IPAM }) => (IPAM?.Config ?? []).map(({ Subnet = '' }) => Subnet));
  return freeSubnets(
    subnets.filter((subnet) => isIPv4(subnet.split('/')[0] ?? '')),
    await networksAround(),
  );
}

/** Null if `work` succeeded; the engine's error if its message matches. */
async function refused(work: Promise<unknown>, words: RegExp): Promise<Error | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (statusOf(error) !== undefined && error instanceof Error && words.test(error.message)) return error;
    throw error;
  }
}

/** Removes our network if no container is attached to it, running or stopped. No-op if it does not exist. */
export async function removeNetwork(engine: Engine, scope: string, name: string): Promise<void> {
  // One with another mark is not ours to remove: this host may have been another agent's before.
  if ((await ownerOf(engine, name)) === scope) await removeUnattachedNetwork(engine, name, name);
}

/** @throws OrkestrError ORK_CONFLICT if a network of this name is not ours */
async function isThere(engine: Engine, scope: string, name: string): Promise<boolean> {
  const owner = await ownerOf(engine, name);
  if (owner === undefined) return false;
  if (owner !== scope) {
    throw new OrkestrError(
      'ORK_CONFLICT',
      `The network ${name} on this host was not made by this agent. Remove its containers and then the network (docker network rm ${name}): the agent makes it again.`,
    );
  }
  return true;
}

/** Scope of the agent that made the network; null: somebody else did; undefined: there is none of this name. */
async function ownerOf(engine: Engine, name: string): Promise<string | null | undefined> {
  const found = await orNull(engine.call(`inspect network ${name}`, (docker) => docker.getNetwork(name).inspect()));
  return found === null ? undefined : (found.Labels?.[LABEL.scope] ?? null);
}
