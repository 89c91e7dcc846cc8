/**
 * Certificate state that a host sends with each heartbeat. It is stored per environment. A notice is sent only after a
 * failure has lasted: the DNS records of a new domain often lag behind the domain.
 */
import { type FailingCertificate, MAX_FAILING_CERTIFICATES } from '../../protocol/agent-link.ts';
import type { Uptime } from '../deps.ts';
import { covers } from '../domains.ts';
import { notifyOfCertificate } from '../notify/certificate-notice.ts';
import type { Db } from '../store/database.ts';
import { deleteFailing, listOfHost, putFailing, setTold } from '../store/failing-certificates.ts';
import { listDomainsOfHost } from '../store/routes.ts';
import type { Row } from '../store/schema.ts';

/** How long a certificate must fail before a notice is sent, ms. */
const LASTING_MS = 15 * 60_000;

type Known = Row<'failing_certificate'>;

interface Times {
  readonly now: string;
  readonly uptime: Uptime;
}

/**
 * Stores what is new and sends due notices. `failing`: all failing certificates of the host. Call it in a transaction.
 */
export async function takeCertificates(
  trx: Db,
  hostId: string,
  failing: readonly FailingCertificate[],
  times: Times,
): Promise<void> {
  const known = new Map((await listOfHost(trx, hostId)).map((row) => [keyOf(row), row]));
  if (known.size === 0 && failing.length === 0) return;
  const routes = await listDomainsOfHost(trx, hostId);
  const isThere = new Set(routes.map(keyOf));
  const seen = new Set<string>();
  for (const route of routes) {
    const one = failing.find(({ host }) => host === route.host) ?? failing.find(({ host }) => covers(host, route.host));
    if (one === undefined) continue;
    seen.add(keyOf(route));
    await takeOne(trx, route, one, known.get(keyOf(route)), times);
  }
  for (const row of known.values()) {
    // A host with very many failures reports only some of them, so absence proves nothing.
    const isWell = !seen.has(keyOf(row)) && failing.length < MAX_FAILING_CERTIFICATES;
    if (!isWell && isThere.has(keyOf(row))) continue;
    await deleteFailing(trx, row);
    if (row.told_at !== null && isThere.has(keyOf(row))) await notifyOfCertificate(trx, row, null, times.now);
  }
}

async function takeOne(
  trx: Db,
  route: Pick<Known, 'environment_id' | 'host'>,
  one: FailingCertificate,
  known: Known | undefined,
  { now, uptime }: Times,
): Promise<void> {
  const isNews = known === undefined || known.error !== JSON.stringify(one.error) || known.not_after !== one.notAfter;
  if (isNews) await putFailing(trx, route, one, now);
  if (known === undefined || known.told_at !== null || uptime.elapsed(Date.parse(known.since)) < LASTING_MS) return;
  await setTold(trx, route, now);
  await notifyOfCertificate(trx, route, one.error, now);
}

const keyOf = ({ environment_id, host }: Pick<Known, 'environment_id' | 'host'>): string => `${environment_id} ${host}`;
