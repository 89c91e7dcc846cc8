/**
 * Live apps that a host reports as down with each heartbeat. They are shown at once. A notice is sent only if that
 * lasts, so that nobody is disturbed by an engine that was restarted, or an app that waited for its database.
 */
import { type DownApp, MAX_DOWN_APPS } from '../../protocol/agent-link.ts';
import type { Uptime } from '../deps.ts';
import { notifyOfApp } from '../notify/app-notice.ts';
import type { Db } from '../store/database.ts';
import { deleteDown, listDownOfHost, placedOn, putDown, setDownTold } from '../store/down-apps.ts';
import { liveDeployments } from '../store/environments.ts';
import type { Row } from '../store/schema.ts';

/** How long a host must have reported an app before a notice is sent, ms. It reports one that is down for a minute. */
const LASTING_MS = 2 * 60_000;

type Known = Row<'down_app'>;

interface Times {
  readonly now: string;
  readonly uptime: Uptime;
}

/** Stores what is new and sends due notices. `down`: all apps of the host that are down. Call it in a transaction. */
export async function takeDownApps(
  trx: Db,
  hostId: string,
  down: readonly DownApp[],
  { now, uptime }: Times,
): Promise<void> {
  const known = new Map((await listDownOfHost(trx, hostId)).map((row) => [row.environment_id, row]));
  if (known.size === 0 && down.length === 0) return;
  const named = [...known.keys(), ...down.map(({ environmentId }) => environmentId)];
  // A host speaks of its own environments only, and the hub may already know of a newer deployment.
  const live = await liveDeployments(trx, await placedOn(trx, hostId, named));
  const ofLive = down.filter(({ environmentId, deploymentId }) => live.get(environmentId) === deploymentId);
  const seen = [...new Map(ofLive.map((one) => [one.environmentId, one])).values()];
  for (const row of known.values()) {
    const isReported = seen.some(({ deploymentId }) => deploymentId === row.deployment_id);
    // A host with very many of them reports only some, so absence proves nothing.
    const isUncertain = down.length >= MAX_DOWN_APPS && live.get(row.environment_id) === row.deployment_id;
    if (isReported || isUncertain) continue;
    known.delete(row.environment_id);
    await deleteDown(trx, row.environment_id);
    if (row.told_at !== null && live.has(row.environment_id)) await notifyOfApp(trx, row.environment_id, null, now);
  }
  for (const one of seen) await takeOne(trx, one, known.get(one.environmentId), { now, uptime });
}

async function takeOne(trx: Db, one: DownApp, known: Known | undefined, { now, uptime }: Times): Promise<void> {
  if (known === undefined || isNews(one, known)) await putDown(trx, one, now);
  if (known === undefined || known.told_at !== null) return;
  if (uptime.elapsed(Date.parse(known.heard_at)) < LASTING_MS) return;
  await setDownTold(trx, one.environmentId, now);
  await notifyOfApp(trx, one.environmentId, one, now);
}

const isNews = ({ error, exitCode, restarts }: DownApp, known: Known): boolean =>
  known.error !== JSON.stringify(error) || known.exit_code !== exitCode || known.restarts !== restarts;
