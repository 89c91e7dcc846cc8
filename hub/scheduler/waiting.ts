/** Which deployments may wait for their turn, and what they wait for. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { HostLinks } from '../deps.ts';
import { planOf } from '../plans.ts';
import type { Db } from '../store/database.ts';
import {
  countKeptWaiting,
  type DeploymentContext,
  type DeploymentRequest,
  findContext,
  isOpen,
  listOpen,
  listSent,
} from '../store/deployments.ts';
import { findHostById } from '../store/hosts.ts';
import { notFound } from '../store/not-found.ts';
import { getTeam } from '../store/teams.ts';
import { placeDeployment } from './placement.ts';

/**
 * Waiting deployments per environment that people or their programs requested: unlike pushes, none replaces another.
 */
const MAX_WAITING = 50;

/**
 * Deployments that every host runs at once, at least (agent/deployment/queue.ts): with fewer ahead, a deployment does
 * not wait.
 */
const LEAST_AT_ONCE = 2;

/** A push is always allowed, since it replaces a waiting one. @throws OrkestrError ORK_TOO_MANY_REQUESTS */
export async function checkQueueLimit(db: Db, { trigger, environmentId }: DeploymentRequest): Promise<void> {
  if (trigger === 'push' || (await countKeptWaiting(db, environmentId)) < MAX_WAITING) return;
  throw new OrkestrError(
    'ORK_TOO_MANY_REQUESTS',
    `${MAX_WAITING} deployments are already waiting in this environment. Let them run, or cancel some.`,
  );
}

/**
 * Checks that a rollback to the variables of its release can still read them. Until the rollback is stored, the
 * variables may be pruned and the release may be deleted with its environment: call this in the storing transaction.
 * @throws OrkestrError ORK_CONFLICT, ORK_NOT_FOUND
 */
export async function checkReleaseVariables(db: Db, { rollback }: DeploymentRequest): Promise<void> {
  if (rollback === undefined) return;
  const released = await findContext(db, rollback.releaseOf);
  if (released === undefined) throw notFound('deployment', rollback.releaseOf);
  if (rollback.variables === 'current' || released.deployment.details_kept === 1) return;
  const plan = planOf(await getTeam(db, released.project.team_id));
  throw new OrkestrError(
    'ORK_CONFLICT',
    `The variables that this release ran with are gone: the plan ${plan.name} keeps those of the newest ${plan.keepDetails} deployments. Roll back with the current variables instead.`,
  );
}

/** Why a queued deployment has not started, or a running one is silent, in words that complete "it waits for ...". */
export async function waitingFor(
  db: Db,
  links: HostLinks,
  { deployment, environment }: DeploymentContext,
): Promise<string | undefined> {
  if (!isOpen(deployment)) return undefined;
  if (deployment.sent_at !== null) {
    const hostId = deployment.host_id ?? environment.host_id;
    if (links.isOnline(hostId)) return turnOn(db, hostId, deployment);
    return `the host ${await nameOf(db, hostId)}, which is offline`;
  }
  const placement = await placeDeployment(db, links, deployment, environment);
  if (placement.kind === 'waits') return placement.for;
  const ahead = (await listOpen(db, environment.id)).filter(({ generation }) => generation < deployment.generation);
  return ahead.length === 0 ? undefined : `deployment ${ahead[0]?.id}, which comes first`;
}

/**
 * Deployments ahead on its host. Not for a running deployment, which reports itself, nor for a cancelled one, which
 * ends at once.
 */
async function turnOn(
  db: Db,
  hostId: string,
  { id, status, cancel_requested, sent_at }: DeploymentContext['deployment'],
): Promise<string | undefined> {
  if (status !== 'queued' || cancel_requested === 1 || sent_at === null) return undefined;
  const before = (await listSent(db, hostId)).filter((other) => other.id !== id && (other.sent_at ?? '') <= sent_at);
  if (before.length < LEAST_AT_ONCE) return undefined;
  return `its turn on the host ${await nameOf(db, hostId)}, which has ${before.length} deployments before it`;
}

const nameOf = async (db: Db, hostId: string): Promise<string> => (await findHostById(db, hostId))?.name ?? hostId;
