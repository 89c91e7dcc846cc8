/**
 * Detects hosts that are offline for longer than a reboot, and sends one notice each, also across restarts of the hub.
 */
import { type ErrorReport, OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps, HostLinks, Part } from '../deps.ts';
import { listJoined, setAwayTold } from '../store/hosts.ts';
import type { Row } from '../store/schema.ts';
import { notifyOfHost } from './host-notice.ts';

interface HostWatchDeps extends CoreDeps {
  readonly links: HostLinks & { refusal(hostId: string): ErrorReport | undefined };
}

const SWEEP_MS = 15_000;
/** How long a host must stay connected to count as back: a flapping host causes one notice only. */
const STAYED_MS = 60_000;

export function makeHostWatch(
  { db, clock, uptime, config, links, log }: HostWatchDeps,
  { sweepMs = SWEEP_MS }: { readonly sweepMs?: number } = {},
): Part & { sweep(): Promise<void> } {
  const awayMs = config.hostAwayMinutes * 60_000;
  let timer: NodeJS.Timeout | undefined;

  async function sweep(): Promise<void> {
    for (const host of await listJoined(db)) {
      const peer = links.peer(host.id);
      if (peer !== undefined) {
        const isBack = uptime.elapsed(peer.since.getTime()) >= STAYED_MS;
        if (host.away_told_at !== null && isBack) await note(host, null);
        continue;
      }
      const away = uptime.elapsed(lastHeard(host));
      if (host.away_told_at === null && away >= awayMs) await note(host, links.refusal(host.id) ?? offline(away));
    }
  }

  async function note(host: Row<'host'>, error: ErrorReport | null): Promise<void> {
    const now = clock.now().toISOString();
    log.info({ hostId: host.id, away: error !== null }, 'host goes away or is back');
    await db.transaction().execute(async (trx) => {
      await setAwayTold(trx, host.id, error === null ? null : now);
      await notifyOfHost(trx, host, error, now);
    });
  }

  return {
    async start() {
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.error({ err: error }, 'looking at which hosts are away failed'));
      }, sweepMs).unref();
      await Promise.resolve();
    },
    async stop() {
      clearInterval(timer);
      await Promise.resolve();
    },
    sweep,
  };
}

const lastHeard = ({ last_seen_at, join_token_used_at, created_at }: Row<'host'>): number =>
  Math.max(...[last_seen_at, join_token_used_at, created_at].map((at) => Date.parse(at ?? '') || 0));

const offline = (ms: number): ErrorReport =>
  toErrorReport(
    new OrkestrError(
      'ORK_HOST_OFFLINE',
      `The host has not been heard from for ${Math.floor(ms / 60_000)} minutes. Its apps may still be running, but nothing can be deployed to it.`,
    ),
  );
