/** Requests from people, pushes and the API: create or cancel a deployment, remove an environment or project. */
import { randomUUIDv7 } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import type { CoreDeps, HostLinks, News, Scheduler } from '../deps.ts';
import type { Db } from '../store/database.ts';
import {
  changeStatus,
  type DeploymentRequest,
  findDeployment,
  insertDeployment,
  isOpen,
  requestCancel,
} from '../store/deployments.ts';
import type { Dispatch } from './dispatch.ts';
import { failDeployment, givenUp } from './failure.ts';
import type { Forgetting } from './forgetting.ts';
import type { Queues } from './queues.ts';
import { removeEnvironment, type Removed, removeProject } from './removals.ts';
import { checkQueueLimit, checkReleaseVariables } from './waiting.ts';

interface RequestDeps extends CoreDeps {
  readonly links: HostLinks;
  readonly news: News;
  readonly dispatch: Dispatch;
  readonly queues: Queues;
  readonly forgetting: Forgetting;
}

type Requests = Pick<Scheduler, 'create' | 'cancel' | 'removeEnvironment' | 'removeProject'>;

/** The methods throw as documented in {@link Scheduler}. */
export function makeRequests(deps: RequestDeps): Requests {
  const { db, clock, links, news, dispatch, queues, forgetting } = deps;
  const now = (): string => clock.now().toISOString();

  async function create(request: DeploymentRequest): Promise<string> {
    const id = randomUUIDv7();
    await db.transaction().execute(async (trx) => {
      await checkQueueLimit(trx, request);
      await checkReleaseVariables(trx, request);
      await insertDeployment(trx, id, request, now());
    });
    news.publish(id);
    forgetting.begin(request.environmentId);
    // The deployment is stored even if settling fails: the next sweep tries again.
    await queues.settleAll([request.environmentId]);
    return id;
  }

  async function cancel(id: string, giveUp = false): Promise<void> {
    const deployment = await db.transaction().execute(async (trx) => {
      const found = await findDeployment(trx, id);
      if (found === undefined || !isOpen(found)) {
        throw new OrkestrError('ORK_CONFLICT', `The deployment has ended already: it is ${found?.status ?? 'gone'}.`);
      }
      if (giveUp && found.host_id !== null && links.isOnline(found.host_id)) throw hostIsThere();
      if (found.sent_at === null) await changeStatus(trx, id, { status: 'cancelled', finished_at: now() });
      else await requestCancel(trx, id);
      return found;
    });
    news.publish(id);
    if (deployment.host_id === null) return queues.settle(deployment.environment_id);
    // An offline host gets the cancel on its next connection.
    links.send(deployment.host_id, { type: 'cancel', deploymentId: id });
    if (!giveUp) return;
    // Failed, not cancelled: a host continues without its hub and may already be past the flip.
    await failDeployment(deps, id, givenUp(), deployment.lease_expires_at);
    await queues.settle(deployment.environment_id);
  }

  async function remove(rows: (trx: Db) => Promise<readonly Removed[]>): Promise<void> {
    const removed = await db.transaction().execute(rows);
    for (const { id, host_id } of removed.flatMap(({ running }) => running))
      links.send(host_id, { type: 'cancel', deploymentId: id });
    for (const hostId of new Set(removed.flatMap(({ hostIds }) => hostIds))) await dispatch.removals(hostId);
  }

  return {
    create,
    cancel,
    removeEnvironment: (id) => remove(async (trx) => [await removeEnvironment(trx, id, now())]),
    removeProject: (id) => remove((trx) => removeProject(trx, id, now())),
  };
}

const hostIsThere = (): OrkestrError =>
  new OrkestrError(
    'ORK_CONFLICT',
    'Its host is connected and will end it: only a deployment whose host is offline can be given up.',
  );
