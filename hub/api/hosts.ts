/** Hosts of the team: added here, then joined by the agent with a one-time token. */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { HostStatus } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { compareVersions } from '../../protocol/release.ts';
import { requireScope } from '../auth/hook.ts';
import { hashSecretToken, JOIN_TOKEN_PREFIX, makeSecretToken } from '../auth/secret-token.ts';
import type { Agents, HubApp, HubDeps } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { listSent } from '../store/deployments.ts';
import { listDownOfTeam } from '../store/down-apps.ts';
import { liveDeployments } from '../store/environments.ts';
import { deleteHost, getHost, insertHost, listHosts, setBuilds, setJoinToken } from '../store/hosts.ts';
import type { Row } from '../store/schema.ts';
import { servedVersion } from './distribution.ts';
import { downStateOf } from './down-state.ts';
import { joinCommand } from './join-command.ts';
import { IdParams } from './params.ts';
import { Host, HostChange, MadeHost, NewHost } from './schemas.ts';

const JOIN_TOKEN_MS = 3600 * 1000;

export function registerHosts(app: HubApp, deps: HubDeps): void {
  const { db, clock, agents } = deps;
  const tags = ['hosts'];
  const viewAll = async (teamId: string, rows: readonly Row<'host'>[]): Promise<Host[]> => {
    const down = await downByHost(db, teamId);
    const served = servedVersion(deps.config.releaseFolder);
    return rows.map((row) => ({ ...hostView(row, agents, served), downApps: down.get(row.id) ?? [] }));
  };
  const view = async (row: Row<'host'>): Promise<Host> => {
    const [host] = await viewAll(row.team_id, [row]);
    if (host === undefined) throw new Error('One host in, one view out.');
    return host;
  };
  /** The host of `row` with a new join token, which only this response contains. */
  const withJoinToken = async (row: Row<'host'>): Promise<z.infer<typeof MadeHost>> => {
    const joinToken = makeSecretToken(JOIN_TOKEN_PREFIX);
    const joinTokenExpiresAt = new Date(clock.now().getTime() + JOIN_TOKEN_MS).toISOString();
    await setJoinToken(db, row.id, hashSecretToken(joinToken), joinTokenExpiresAt);
    const { releaseFolder, acmeEmail } = deps.config;
    const installCommand = releaseFolder === undefined ? null : joinCommand(deps.hubUrl(), joinToken, acmeEmail);
    return { ...(await view(row)), joinToken, joinTokenExpiresAt, installCommand };
  };

  app.get(
    '/hosts',
    { ...requireScope('read'), schema: { summary: 'Hosts of the team', tags, response: { 200: z.array(Host) } } },
    async ({ identity: { teamId } }) => viewAll(teamId, await listHosts(db, teamId)),
  );

  app.post(
    '/hosts',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Add a host',
        description: 'The answer contains its join token, which is valid for one host and one hour.',
        tags,
        body: NewHost,
        response: { 201: MadeHost },
      },
    },
    async (request, reply) => {
      const row: Row<'host'> = {
        id: randomUUIDv7(),
        team_id: request.identity.teamId,
        name: request.body.name,
        public_key: null,
        join_token_hash: null,
        join_token_expires_at: null,
        join_token_used_at: null,
        status: null,
        last_seen_at: null,
        acknowledged: 0,
        builds: 1,
        away_told_at: null,
        created_at: clock.now().toISOString(),
      };
      await insertHost(db, row);
      return reply.code(201).send(await withJoinToken(row));
    },
  );

  app.post(
    '/hosts/:id/join-token',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Create a new join token for a host',
        description:
          'For enrolling the host again. Its current key stays valid until the token is used; earlier tokens become invalid.',
        tags,
        params: IdParams,
        response: { 201: MadeHost },
      },
    },
    async (request, reply) => {
      const row = await getHost(db, request.identity.teamId, request.params.id);
      return reply.code(201).send(await withJoinToken(row));
    },
  );

  app.patch(
    '/hosts/:id',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Change a host',
        description:
          'A host that does not build runs images that other hosts of the team built and pushed to the registry of the environment.',
        tags,
        params: IdParams,
        body: HostChange,
        response: { 200: Host },
      },
    },
    async ({ identity, params, body }) => {
      const { id } = await getHost(db, identity.teamId, params.id);
      await setBuilds(db, id, body.builds);
      return view(await getHost(db, identity.teamId, id));
    },
  );

  app.delete(
    '/hosts/:id',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Remove a host',
        description:
          'Refused while environments are placed on it, and while it builds for others. Apps there keep running; uninstall the agent there.',
        tags,
        params: IdParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const row = await getHost(db, request.identity.teamId, request.params.id);
      await db.transaction().execute(async (tx) => {
        await mustNotBuild(tx, row);
        await deleteHost(tx, row);
      });
      agents.disconnect(row.id);
      return reply.code(204).send(null);
    },
  );
}

/**
 * Deployments that wait for its builds would fail only minutes later, as if the host were lost.
 * @throws OrkestrError ORK_CONFLICT
 */
async function mustNotBuild(tx: Db, { id, name }: Row<'host'>): Promise<void> {
  const building = (await listSent(tx, id)).filter(({ build_host_id }) => build_host_id === id);
  if (building.length === 0) return;
  throw new OrkestrError(
    'ORK_CONFLICT',
    `The host "${name}" is building ${building.length === 1 ? 'a deployment' : `${building.length} deployments`} for other hosts: ${building[0]?.id}. Cancel it or wait for it to finish; if the host is offline, it ends within minutes.`,
  );
}

/** Version of the connected agent, or of the last one. */
export const agentVersionOf = (row: Row<'host'>, agents: Agents): string | null =>
  agents.peer(row.id)?.agentVersion ?? statusOf(row)?.agentVersion ?? null;

/** A status that an older version stored and this one cannot parse counts as none. */
const statusOf = ({ status }: Row<'host'>): HostStatus | null =>
  status === null ? null : (HostStatus.safeParse(JSON.parse(status)).data ?? null);

/** Host id → its live apps that are down. */
async function downByHost(db: Db, teamId: string): Promise<Map<string, Host['downApps']>> {
  const rows = await listDownOfTeam(db, teamId);
  const live = await liveDeployments(
    db,
    rows.map(({ environment_id }) => environment_id),
  );
  const shown = rows.flatMap((row) => {
    const down = downStateOf(row, live.get(row.environment_id));
    return down === null
      ? []
      : [{ hostId: row.host_id, app: { project: row.project_slug, environment: row.slug, ...down } }];
  });
  const byHost = Map.groupBy(shown, ({ hostId }) => hostId);
  return new Map([...byHost].map(([hostId, apps]) => [hostId, apps.map(({ app }) => app)]));
}

function hostView(row: Row<'host'>, agents: Agents, served: string | null): Omit<Host, 'downApps'> {
  const agentVersion = agentVersionOf(row, agents);
  const isOlder = agentVersion !== null && served !== null && compareVersions(agentVersion, served) < 0;
  return {
    id: row.id,
    name: row.name,
    enrolled: row.public_key !== null,
    online: agents.isOnline(row.id),
    builds: row.builds === 1,
    lastSeenAt: row.last_seen_at,
    agentVersion,
    upgradeTo: isOlder ? served : null,
    refusal: agents.refusal(row.id) ?? null,
    status: statusOf(row),
  };
}
