/** Upgrades of the team's hosts to the release that this hub serves. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { compareVersions } from '../../protocol/release.ts';
import { PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { requireScope } from '../auth/hook.ts';
import type { Agents, HubApp, HubDeps } from '../deps.ts';
import { parseError } from '../store/events.ts';
import { listHosts } from '../store/hosts.ts';
import { notFound } from '../store/not-found.ts';
import type { Row } from '../store/schema.ts';
import { getUpgrade, listUpgrades, type StoredUpgrade } from '../store/upgrades.ts';
import { readManifest } from './distribution.ts';
import { agentVersionOf } from './hosts.ts';
import { IdParams } from './params.ts';
import { HostsToSkip, NewUpgrade, Upgrade } from './schemas.ts';

export function registerUpgrades(app: HubApp, deps: HubDeps): void {
  const { db, upgrades } = deps;
  const tags = ['hosts'];
  const show = async (teamId: string, id: string): Promise<Upgrade> => upgradeView(await getUpgrade(db, teamId, id));

  app.get(
    '/upgrades',
    {
      ...requireScope('read'),
      schema: { summary: 'Upgrades of hosts, newest first', tags, response: { 200: z.array(Upgrade) } },
    },
    async ({ identity }) => (await listUpgrades(db, identity.teamId)).map(upgradeView),
  );

  app.post(
    '/upgrades',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Upgrade hosts',
        description:
          'Upgrades hosts one after another, or `atOnce` at a time; the next host starts when an earlier one is healthy. The first failure pauses the upgrade. Without `hosts`, upgrades all joined hosts that are not newer.',
        tags,
        body: NewUpgrade.nullish(),
        response: { 201: Upgrade },
      },
    },
    async ({ identity: { teamId }, body }, reply) => {
      const { version, hosts, atOnce } = NewUpgrade.parse(body ?? {});
      const to = orderable(deps, version);
      const all = await listHosts(db, teamId);
      const taken = hosts === undefined ? notNewer(deps.agents, all, to) : named(all, hosts);
      const id = await upgrades.create({ teamId, version: to, hostIds: taken.map((host) => host.id), atOnce });
      return reply.code(201).send(await show(teamId, id));
    },
  );

  app.get(
    '/upgrades/:id',
    {
      ...requireScope('read'),
      schema: { summary: 'One upgrade and the state of each host', tags, params: IdParams, response: { 200: Upgrade } },
    },
    ({ identity, params }) => show(identity.teamId, params.id),
  );

  app.post(
    '/upgrades/:id/resume',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Resume a paused upgrade',
        description: 'Hosts that failed are retried in their turn.',
        tags,
        params: IdParams,
        response: { 202: Upgrade },
      },
    },
    async ({ identity, params }, reply) => {
      const { upgrade } = await getUpgrade(db, identity.teamId, params.id);
      orderable(deps, upgrade.version);
      await upgrades.resume(upgrade.id);
      return reply.code(202).send(await show(identity.teamId, upgrade.id));
    },
  );

  app.post(
    '/upgrades/:id/skip',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Skip hosts in an upgrade',
        description:
          'Only hosts that are waiting or have failed can be skipped. A paused upgrade stays paused until it is resumed.',
        tags,
        params: IdParams,
        body: HostsToSkip,
        response: { 202: Upgrade },
      },
    },
    async ({ identity, params, body }, reply) => {
      const { upgrade, hosts } = await getUpgrade(db, identity.teamId, params.id);
      const strange = body.hosts.find((id) => !hosts.some(({ host_id }) => host_id === id));
      if (strange !== undefined) throw notFound('host', strange);
      await upgrades.skip(upgrade.id, body.hosts);
      return reply.code(202).send(await show(identity.teamId, upgrade.id));
    },
  );

  app.post(
    '/upgrades/:id/cancel',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Cancel an upgrade',
        description: 'Hosts that are upgrading finish; the others stay as they are.',
        tags,
        params: IdParams,
        response: { 202: Upgrade },
      },
    },
    async ({ identity, params }, reply) => {
      const { upgrade } = await getUpgrade(db, identity.teamId, params.id);
      await upgrades.cancel(upgrade.id);
      return reply.code(202).send(await show(identity.teamId, upgrade.id));
    },
  );
}

/**
 * The version to upgrade to, if this hub serves it and can talk to it afterwards.
 * @throws OrkestrError ORK_UPGRADE_UNSERVED; ORK_NOT_FOUND when this hub has no release
 */
function orderable({ config }: Pick<HubDeps, 'config'>, version: string | undefined): string {
  const release = readManifest(config.releaseFolder);
  if (version !== undefined && version !== release.version) {
    throw new OrkestrError('ORK_UPGRADE_UNSERVED', `This hub offers ${release.version}, not ${version}.`);
  }
  if (release.protocol > PROTOCOL_VERSION) {
    throw new OrkestrError(
      'ORK_UPGRADE_UNSERVED',
      `The release ${release.version} speaks protocol ${release.protocol}, this hub only ${PROTOCOL_VERSION}.`,
    );
  }
  return release.version;
}

/** All joined hosts except newer ones: agents never downgrade for a hub. @throws OrkestrError ORK_CONFLICT */
function notNewer(agents: Agents, hosts: readonly Row<'host'>[], version: string): readonly Row<'host'>[] {
  const joined = hosts.filter((host) => host.public_key !== null);
  if (joined.length === 0) throw new OrkestrError('ORK_CONFLICT', 'No host has joined this hub yet.');
  const taken = joined.filter((host) => compareVersions(agentVersionOf(host, agents) ?? version, version) <= 0);
  if (taken.length > 0) return taken;
  throw new OrkestrError('ORK_CONFLICT', `Every host is newer than the release ${version} of this hub.`);
}

/** The requested hosts, in that order. @throws OrkestrError ORK_NOT_FOUND, ORK_CONFLICT */
function named(hosts: readonly Row<'host'>[], wanted: readonly string[]): readonly Row<'host'>[] {
  return [...new Set(wanted)].map((id) => {
    const host = hosts.find((one) => one.id === id);
    if (host === undefined) throw notFound('host', id);
    if (host.public_key === null) throw new OrkestrError('ORK_CONFLICT', `The host "${host.name}" has not joined yet.`);
    return host;
  });
}

const upgradeView = ({ upgrade, hosts }: StoredUpgrade): Upgrade => ({
  id: upgrade.id,
  version: upgrade.version,
  atOnce: upgrade.at_once,
  state: upgrade.state,
  hosts: hosts.map(({ host_id, host_name, state, error }) => ({
    id: host_id,
    name: host_name,
    state,
    error: parseError(error),
  })),
  createdAt: upgrade.created_at,
  finishedAt: upgrade.finished_at,
});
