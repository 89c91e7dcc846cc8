/**
 * Upgrades hosts to the release that this hub serves. All state comes from the store and from the connected hosts
 * themselves, so a restart of the hub in the middle changes nothing.
 */
import type { UpgradeNews } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { CoreDeps, HostLinks, UpgradeRequest, Upgrades } from '../deps.ts';
import { hasFailed, type HostRollout, isUnderWay, type Rollout } from '../model/rollout.ts';
import { notifyOfUpgrade } from '../notify/upgrade-notice.ts';
import type { Db } from '../store/database.ts';
import {
  findOrder,
  findUpgrade,
  insertUpgrade,
  listMovingUpgrades,
  rolloutOf,
  storeRollout,
} from '../store/upgrades.ts';
import { advance, type SeenHost } from './advance.ts';

interface UpgradesDeps extends CoreDeps {
  readonly links: HostLinks;
}

/** Interval of the check for time limits, ms. */
const SWEEP_MS = 5_000;

interface Order {
  readonly hostId: string;
  readonly upgradeId: string;
  readonly version: string;
}

export class HostUpgrades implements Upgrades {
  readonly #deps: UpgradesDeps;
  readonly #sweepMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: UpgradesDeps, { sweepMs = SWEEP_MS }: { readonly sweepMs?: number } = {}) {
    this.#deps = deps;
    this.#sweepMs = sweepMs;
  }

  async start(): Promise<void> {
    await this.sweep();
    this.#timer = setInterval(() => {
      this.sweep().catch((error: unknown) =>
        this.#deps.log.error({ err: error }, 'looking at the upgrades of hosts failed'),
      );
    }, this.#sweepMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.resolve();
  }

  async create({ teamId, version, hostIds, atOnce }: UpgradeRequest): Promise<string> {
    const { db, clock } = this.#deps;
    const upgrade = { team_id: teamId, version, at_once: atOnce, created_at: clock.now().toISOString() };
    const id = await db.transaction().execute((trx) => insertUpgrade(trx, upgrade, hostIds));
    await this.#settle(id);
    return id;
  }

  resume(id: string): Promise<void> {
    return this.#settle(id, (rollout) => ({
      ...checked(rollout, 'paused'),
      state: 'running',
      hosts: rollout.hosts.map(again),
    }));
  }

  skip(id: string, hostIds: readonly string[]): Promise<void> {
    return this.#settle(id, (rollout) => ({
      ...checked(rollout, 'running', 'paused'),
      hosts: rollout.hosts.map((host) => (hostIds.includes(host.hostId) ? skipped(host) : host)),
    }));
  }

  cancel(id: string): Promise<void> {
    return this.#settle(id, (rollout) => ({
      ...checked(rollout, 'running', 'paused'),
      state: 'cancelled',
      hosts: rollout.hosts.map((host) => (host.state === 'waiting' ? skipped(host) : host)),
    }));
  }

  async heard(hostId: string, news: UpgradeNews): Promise<void> {
    const { db, links, log } = this.#deps;
    const order = await findOrder(db, hostId, news.upgradeId);
    if (order === undefined) {
      log.info({ hostId, upgradeId: news.upgradeId, state: news.state }, 'news of an upgrade that nobody here ordered');
      return;
    }
    // Only the new agent itself can report healthy, not the old one in advance.
    if (news.state === 'healthy' && links.peer(hostId)?.agentVersion !== news.version) return;
    const told = (host: HostRollout): HostRollout =>
      host.hostId === hostId && (isUnderWay(host.state) || hasFailed(host.state))
        ? { ...host, state: news.state, error: news.error ?? null }
        : host;
    await this.#settle(order.upgrade_id, (rollout) => ({ ...rollout, hosts: rollout.hosts.map(told) }));
  }

  async hostConnected(hostId: string): Promise<void> {
    const { db, links } = this.#deps;
    for (const id of await listMovingUpgrades(db, hostId)) {
      const before = await findUpgrade(db, id);
      const host = before?.hosts.find(({ host_id }) => host_id === hostId);
      await this.#settle(id);
      if (before === undefined || host?.state !== 'ordered') continue;
      // No report since its order, which may have been lost. The same id is the same upgrade on the host.
      const { version } = before.upgrade;
      if (links.peer(hostId)?.agentVersion === version) continue;
      links.send(hostId, { type: 'upgrade', upgradeId: host.order_id, version });
    }
  }

  /** Looks at the time limits of all open upgrades. */
  async sweep(): Promise<void> {
    for (const id of await listMovingUpgrades(this.#deps.db)) await this.#settle(id);
  }

  /** Changes the rollout, advances it, and sends new orders once everything is stored. */
  async #settle(id: string, change: (rollout: Rollout) => Rollout = (rollout) => rollout): Promise<void> {
    const { db, links, log } = this.#deps;
    const orders = await db.transaction().execute((trx) => this.#take(trx, id, change));
    for (const { hostId, upgradeId, version } of orders) {
      log.info({ hostId, upgradeId, version }, 'host is ordered to upgrade');
      links.send(hostId, { type: 'upgrade', upgradeId, version });
    }
  }

  async #take(trx: Db, id: string, change: (rollout: Rollout) => Rollout): Promise<Order[]> {
    const { clock, log } = this.#deps;
    const stored = await findUpgrade(trx, id);
    if (stored === undefined) return [];
    const now = clock.now();
    const rollout = advance(change(this.#sinceUp(rolloutOf(stored))), this.#seenHosts(stored.hosts), now.getTime());
    await storeRollout(trx, stored, rollout, now.toISOString());
    await notifyOfUpgrade(trx, stored, rollout, now.toISOString());
    if (rollout.state !== stored.upgrade.state) log.info({ upgrade: id, state: rollout.state }, 'upgrade of hosts');
    const ordered = (await findUpgrade(trx, id))?.hosts ?? [];
    return ordered.flatMap(({ host_id, state, order_id }, index) =>
      state === 'ordered' && stored.hosts[index]?.state !== 'ordered'
        ? [{ hostId: host_id, upgradeId: order_id, version: rollout.version }]
        : [],
    );
  }

  /** Time limits restart with the hub: while it was down, it could hear no host. */
  #sinceUp(rollout: Rollout): Rollout {
    const { uptime } = this.#deps;
    const hosts = rollout.hosts.map((host) =>
      host.turnAt === null ? host : { ...host, turnAt: uptime.from(host.turnAt) },
    );
    return { ...rollout, hosts };
  }

  #seenHosts(hosts: readonly { readonly host_id: string }[]): Map<string, SeenHost> {
    const { links, uptime } = this.#deps;
    return new Map(
      hosts.flatMap(({ host_id }) => {
        const peer = links.peer(host_id);
        return peer === undefined ? [] : [[host_id, { ...peer, since: uptime.from(peer.since.getTime()) }] as const];
      }),
    );
  }
}

const again = (host: HostRollout): HostRollout =>
  hasFailed(host.state) || host.state === 'waiting' ? { ...host, state: 'waiting', error: null, turnAt: null } : host;

/** @throws OrkestrError ORK_CONFLICT when the host is under way: an order cannot be revoked */
function skipped(host: HostRollout): HostRollout {
  if (host.state === 'waiting' || hasFailed(host.state)) return { ...host, state: 'skipped' };
  throw new OrkestrError('ORK_CONFLICT', `The host ${host.hostId} cannot be skipped: it is ${host.state}.`);
}

/** @throws OrkestrError ORK_CONFLICT */
function checked(rollout: Rollout, ...states: Rollout['state'][]): Rollout {
  if (states.includes(rollout.state)) return rollout;
  throw new OrkestrError('ORK_CONFLICT', `The upgrade is ${rollout.state}, not ${states.join(' or ')}.`);
}
