/** Chooses the host for the first job of a deployment: the host that serves it, or another one that builds for it. */
import { OrkestrError } from '../../protocol/errors.ts';
import { isWorker } from '../../protocol/job.ts';
import type { Settings } from '../../protocol/job.ts';
import { SINCE } from '../../protocol/versions.ts';
import type { HostLinks } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { listSent } from '../store/deployments.ts';
import { readSettings } from '../store/environments.ts';
import { findHostById, listHosts } from '../store/hosts.ts';
import type { Row } from '../store/schema.ts';

export type Placement =
  | {
      readonly kind: 'placed';
      readonly hostId: string;
      /** Null: the serving host builds, or nothing is built. */
      readonly buildHostId: string | null;
    }
  /** In words that complete "it waits for ...". */
  | { readonly kind: 'waits'; readonly for: string }
  | { readonly kind: 'impossible'; readonly error: OrkestrError };

type Host = Row<'host'>;

/** Does not throw for a deployment that no host can run: returns `impossible` with the reason instead. */
export async function placeDeployment(
  db: Db,
  links: Pick<HostLinks, 'isOnline' | 'peer'>,
  { kind }: Pick<Row<'deployment'>, 'kind'>,
  environment: Row<'environment'>,
): Promise<Placement> {
  const host = await findHostById(db, environment.host_id);
  if (host === undefined || !links.isOnline(host.id)) {
    return { kind: 'waits', for: `the host ${host?.name ?? environment.host_id}, which is offline` };
  }
  const settings = readSettings(environment);
  const { registry, buildHost } = settings;
  const tooOld = whyTooOld(links, host, settings);
  if (tooOld !== null) return { kind: 'impossible', error: tooOld };
  const buildsItself = buildHost === undefined ? host.builds === 1 : buildHost === host.name;
  // A rollback reuses an image that is already built.
  if (buildsItself || kind === 'rollback') return { kind: 'placed', hostId: host.id, buildHostId: null };
  if (registry === undefined)
    return impossible(`What runs on ${host.name} is built on another host and needs a registry`);
  const builders = (await listHosts(db, host.team_id)).filter(
    ({ id, name, builds }) => id !== host.id && builds === 1 && (buildHost ?? name) === name,
  );
  if (builders.length === 0) return impossible(`There is no host ${buildHost ?? `beside ${host.name}`} that builds`);
  const online = builders.filter(({ id }) => links.isOnline(id));
  const builder = await leastBusy(
    db,
    online.filter((one) => whyTooOld(links, one, settings) === null),
  );
  if (builder !== undefined) return { kind: 'placed', hostId: builder.id, buildHostId: builder.id };
  const [old] = online;
  const error = old === undefined ? null : whyTooOld(links, old, settings);
  if (error !== null) return { kind: 'impossible', error };
  return { kind: 'waits', for: `a host that builds: ${builders.map(({ name }) => name).join(', ')}, which is offline` };
}

/** Null: the agent of the host, which is online, knows what the job asks for. */
function whyTooOld(links: Pick<HostLinks, 'peer'>, { id, name }: Host, settings: Settings): OrkestrError | null {
  const peer = links.peer(id);
  if (!isWorker(settings) || peer === undefined || peer.protocol >= SINCE.workers) return null;
  return new OrkestrError(
    'ORK_PROTOCOL_AGENT_OLD',
    `The agent on ${name} (version ${peer.agentVersion}) is too old to deploy a background worker (healthCheck.kind "running"): upgrade the host first, orkestr hosts upgrade ${name}.`,
  );
}

async function leastBusy(db: Db, hosts: readonly Host[]): Promise<Host | undefined> {
  const sent = await listSent(db);
  const load = (host: Host): number => sent.filter(({ host_id }) => host_id === host.id).length;
  return hosts.toSorted((a, b) => load(a) - load(b) || a.name.localeCompare(b.name, 'en'))[0];
}

const impossible = (message: string): Placement => ({
  kind: 'impossible',
  error: new OrkestrError('ORK_BUILD_NOWHERE', `${message}.`),
});
