/**
 * Decides which deployment runs when. Everything it knows is in the store: each decision is one transaction, and what
 * goes over the wire goes after it and again on the host's next connection, so a restart loses nothing.
 */
import { randomUUIDv7 } from 'node:crypto';
import { type ErrorReport, OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps, DeploymentRequest, HostLinks, News, Scheduler } from '../deps.ts';
import { tellOfDeployment } from '../notify/deployment-notice.ts';
import {
  changeStatus,
  findContext,
  findDeployment,
  findOnHost,
  insertDeployment,
  isOpen,
  listOpen,
  listSent,
} from '../store/deployments.ts';
import type { Db } from '../store/database.ts';
import type { Row } from '../store/schema.ts';
import { makeDispatch } from './dispatch.ts';
import { makeEdgeOrders } from './edge-orders.ts';
import { Forgetting } from './forgetting.ts';
import { fixVariables } from './job.ts';
import { GRACE_SECONDS, isLostAssumption, LEASE_SECONDS, leaseBegin, leaseEnd, LOST_AFTER_MS } from './lease.ts';
import { type Placement, placeDeployment } from './placement.ts';
import { removeEnvironment, removeProject, type Removed } from './removals.ts';
import { decideTurn } from './turn.ts';
import { mustHaveVariables, mustMayWait } from './waiting.ts';

interface SchedulerDeps extends CoreDeps {
  readonly links: HostLinks;
  readonly news: News;
}

interface TakenTurn {
  /** Deployments with news. */
  readonly changed: readonly string[];
  /** The one whose job is to be sent. */
  readonly sent?: string;
  /** The one whose turn it was and that no host can be sent. */
  readonly impossible?: { readonly id: string; readonly error: OrkestrError };
}

/** A deployment whose turn it is. */
type Prepared =
  | (Extract<Placement, { kind: 'placed' }> & { readonly fixed: Awaited<ReturnType<typeof fixVariables>> })
  | Exclude<Placement, { kind: 'placed' }>;

/** How often leases, what waits for its turn, and what must still go from its host are looked at, ms. */
const SWEEP_MS = 15_000;

export function makeScheduler(
  deps: SchedulerDeps,
  { sweepMs = SWEEP_MS }: { readonly sweepMs?: number } = {},
): Scheduler & { sweep(): Promise<void>; forgotten(): Promise<void> } {
  const { db, clock, uptime, links, news, log } = deps;
  const dispatch = makeDispatch(deps);
  const edgeOrders = makeEdgeOrders(deps);
  const forgetting = new Forgetting(deps);
  const now = (): string => clock.now().toISOString();
  let timer: NodeJS.Timeout | undefined;

  async function settle(environmentId: string): Promise<void> {
    // Each round ends one deployment at least, so this comes to an end.
    for (;;) {
      const turn = await db.transaction().execute((trx) => takeTurn(trx, environmentId));
      for (const id of turn.changed) news.tell(id);
      if (turn.impossible !== undefined) await fail(turn.impossible.id, toErrorReport(turn.impossible.error));
      else if (turn.sent === undefined || (await sendOrFail(turn.sent))) return;
    }
  }

  /** One that cannot be settled, as its settings cannot be read, does not keep others from their turn. */
  async function settleAll(environmentIds: readonly string[]): Promise<void> {
    for (const environmentId of environmentIds) {
      try {
        await settle(environmentId);
      } catch (error) {
        log.error({ err: error, environmentId }, 'the deployments of an environment cannot go on');
      }
    }
  }

  async function takeTurn(trx: Db, environmentId: string): Promise<TakenTurn> {
    const open = await listOpen(trx, environmentId);
    const turn = decideTurn(open);
    for (const { id, replacedBy } of turn.skip) {
      await changeStatus(trx, id, { status: 'skipped', replaced_by: replacedBy, finished_at: now() });
    }
    const changed = turn.skip.map(({ id }) => id);
    const next = open.find(({ id }) => id === turn.next);
    if (next === undefined) return { changed };
    const environment = await getEnvironmentRow(trx, environmentId);
    const ready = await prepare(trx, next, environment);
    if (ready.kind === 'waits') return { changed };
    if (ready.kind === 'impossible') return { changed, impossible: { id: next.id, error: ready.error } };
    await trx
      .updateTable('deployment')
      .set({
        ...ready.fixed,
        edge_revision: environment.edge_revision,
        sent_at: now(),
        host_id: ready.hostId,
        build_host_id: ready.buildHostId,
        lease_expires_at: leaseEnd(clock.now()),
      })
      .where('id', '=', next.id)
      .execute();
    return { changed, sent: next.id };
  }

  /** Its host and its variables. When these cannot be opened, no later turn is better: it would wait without end, and all behind it. */
  async function prepare(trx: Db, next: Row<'deployment'>, environment: Row<'environment'>): Promise<Prepared> {
    try {
      const placement = await placeDeployment(trx, links, next, environment);
      if (placement.kind !== 'placed') return placement;
      return { ...placement, fixed: await fixVariables(trx, deps.sealer, next) };
    } catch (error) {
      // Not what the store is in the way of: that has its turn later.
      if (!(error instanceof OrkestrError)) throw error;
      return { kind: 'impossible', error };
    }
  }

  /** False when no job could be made of it: then it has failed, with the reason. */
  async function sendOrFail(id: string): Promise<boolean> {
    try {
      const context = await findContext(db, id);
      if (context !== undefined) await dispatch.job(context);
      await repeatCancel(id);
      return true;
    } catch (error) {
      log.warn({ err: error, deploymentId: id }, 'no job could be made of the deployment');
      await fail(id, toErrorReport(error));
      return false;
    }
  }

  /** A host forgets the cancel of a job that it does not have yet: one that went out while the job was made is said again. */
  async function repeatCancel(id: string): Promise<void> {
    const deployment = await findDeployment(db, id);
    if (deployment === undefined || deployment.host_id === null || deployment.cancel_requested === 0) return;
    links.send(deployment.host_id, { type: 'cancel', deploymentId: id });
  }

  /** `lease`: as it was when this was decided; a host that renewed it or reported in between is right, and nothing is done. */
  async function fail(id: string, error: ErrorReport, lease?: string | null): Promise<void> {
    await db.transaction().execute(async (trx) => {
      const deployment = await findDeployment(trx, id);
      if (deployment === undefined || !isOpen(deployment)) return;
      if (lease !== undefined && deployment.lease_expires_at !== lease) return;
      await changeStatus(trx, id, { status: 'failed', error, finished_at: now(), lease_expires_at: null });
      await tellOfDeployment(trx, deployment, now());
    });
    news.tell(id);
  }

  async function create(request: DeploymentRequest): Promise<string> {
    const id = randomUUIDv7();
    await db.transaction().execute(async (trx) => {
      await mustMayWait(trx, request);
      await mustHaveVariables(trx, request);
      await insertDeployment(trx, id, request, now());
    });
    news.tell(id);
    forgetting.begin(request.environmentId);
    // It is stored, whatever becomes of its turn now; the next look at what waits gives it another one.
    await settleAll([request.environmentId]);
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
      else await trx.updateTable('deployment').set({ cancel_requested: 1 }).where('id', '=', id).execute();
      return found;
    });
    news.tell(id);
    if (deployment.host_id === null) return settle(deployment.environment_id);
    // An offline host gets it on its next connection.
    links.send(deployment.host_id, { type: 'cancel', deploymentId: id });
    if (!giveUp) return;
    // Not as cancelled: a host goes on without its hub, and may be past the flip.
    await fail(id, givenUp(), deployment.lease_expires_at);
    await settle(deployment.environment_id);
  }

  async function remove(rows: (trx: Db) => Promise<readonly Removed[]>): Promise<void> {
    const removed = await db.transaction().execute(rows);
    for (const { id, host_id } of removed.flatMap(({ running }) => running))
      links.send(host_id, { type: 'cancel', deploymentId: id });
    for (const hostId of new Set(removed.flatMap(({ hostIds }) => hostIds))) await dispatch.removals(hostId);
  }

  /** What was taken for lost and is alive runs again, before anything else can be sent to that host. */
  async function hostReturns(hostId: string, running: readonly string[]): Promise<void> {
    await renewLeases(hostId, running);
    for (const id of running) {
      const revived = await db.transaction().execute(async (trx) => {
        const deployment = await findOnHost(trx, hostId, id);
        if (deployment === undefined || !isLostAssumption(deployment)) return false;
        await changeStatus(trx, id, {
          status: 'running',
          error: null,
          finished_at: null,
          lease_expires_at: leaseEnd(clock.now()),
        });
        return true;
      });
      if (revived) news.tell(id);
    }
  }

  async function hostConnected(hostId: string, running: readonly string[]): Promise<void> {
    const sent = await listSent(db, hostId);
    await renewLeases(
      hostId,
      sent.map(({ id }) => id),
    );
    for (const deployment of sent) {
      // A host that has it already knows it by its id; one that lost the message gets it now.
      if (running.includes(deployment.id)) await repeatCancel(deployment.id);
      else if (!(await sendOrFail(deployment.id))) await settleAll([deployment.environment_id]);
    }
    await dispatch.removals(hostId);
    await edgeOrders.send({ hostId });
    await settleAll(await listWaitingEnvironments(db, hostId));
  }

  async function renewLeases(hostId: string, ids: readonly string[]): Promise<readonly string[]> {
    const held = (await listSent(db, hostId)).filter(({ id }) => ids.includes(id)).map(({ id }) => id);
    if (held.length > 0) {
      await db
        .updateTable('deployment')
        .set({ lease_expires_at: leaseEnd(clock.now()) })
        .where('id', 'in', held)
        .execute();
    }
    return held;
  }

  async function sweep(): Promise<void> {
    for (const deployment of await listSent(db)) {
      if (uptime.elapsed(leaseBegin(deployment.lease_expires_at)) <= LOST_AFTER_MS) continue;
      if (links.isOnline(deployment.host_id)) {
        // Connected and not renewing: the host does not have it. The same job again is the same deployment.
        await renewLeases(deployment.host_id, [deployment.id]);
        if (await sendOrFail(deployment.id)) continue;
      } else {
        await fail(deployment.id, hostLost(), deployment.lease_expires_at);
      }
      await settleAll([deployment.environment_id]);
    }
    await settleAll(await listWaitingEnvironments(db));
    await dispatch.dueRemovals();
    // A host that could not store them has nothing to try again.
    await edgeOrders.send({});
  }

  return {
    async start() {
      await settleAll(await listWaitingEnvironments(db));
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.error({ err: error }, 'looking at leases and removals failed'));
      }, sweepMs).unref();
    },
    async stop() {
      clearInterval(timer);
      await forgetting.stop();
    },
    removeEnvironment: (id) => remove(async (trx) => [await removeEnvironment(trx, id, now())]),
    removeProject: (id) => remove((trx) => removeProject(trx, id, now())),
    async handOn(id) {
      const deployment = await findDeployment(db, id);
      if (deployment !== undefined && !(await sendOrFail(id))) await settle(deployment.environment_id);
    },
    create,
    cancel,
    hostReturns,
    hostConnected,
    renewLeases,
    settle,
    edgeChanged: (environmentId) => edgeOrders.send({ environmentId }),
    edgeHeard: (hostId, heard) => edgeOrders.heard(hostId, heard),
    sweep,
    forgotten: () => forgetting.idle(),
  };
}

const hostLost = () =>
  toErrorReport(
    new OrkestrError(
      'ORK_HOST_LOST',
      `The host is offline and did not renew its lease of ${LEASE_SECONDS} s for ${GRACE_SECONDS} s. The state of the deployment there is unknown.`,
    ),
  );

const givenUp = () =>
  toErrorReport(
    new OrkestrError(
      'ORK_HOST_LOST',
      'It was given up on request while its host was offline. The host cancels it when it reconnects, unless it has gone live by then; in that case it is shown as live.',
    ),
  );

const hostIsThere = () =>
  new OrkestrError(
    'ORK_CONFLICT',
    'Its host is connected and will end it: only a deployment whose host is offline can be given up.',
  );

const getEnvironmentRow = (db: Db, id: string): Promise<Row<'environment'>> =>
  db.selectFrom('environment').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

/** Environments in which something waits: all, or those that a host serves or may build for. */
async function listWaitingEnvironments(db: Db, hostId?: string): Promise<string[]> {
  const rows = await db
    .selectFrom('deployment')
    .innerJoin('environment', 'environment.id', 'deployment.environment_id')
    .innerJoin('host', 'host.id', 'environment.host_id')
    .select('environment.id')
    .distinct()
    .where('deployment.status', '=', 'queued')
    .where('deployment.sent_at', 'is', null)
    .$if(hostId !== undefined, (query) =>
      query.where('host.team_id', '=', (row) =>
        row
          .selectFrom('host')
          .select('team_id')
          .where('id', '=', hostId ?? ''),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}
