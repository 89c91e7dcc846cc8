/** Chooses the host and the domain of a new environment. */
import { randomUUIDv7 } from 'node:crypto';
import type { z } from 'zod';
import type { Domain } from '../../protocol/edge.ts';
import { isWorker } from '../../protocol/job.ts';
import type { Settings } from '../../protocol/job.ts';
import type { HubDeps } from '../deps.ts';
import { checkCanonicalHost, checkDomains, defaultDomains } from '../domains.ts';
import { overPlan, planOf } from '../plans.ts';
import type { Db } from '../store/database.ts';
import { insertEnvironment } from '../store/environments.ts';
import { getHost, listHosts } from '../store/hosts.ts';
import { isRouteFree } from '../store/routes.ts';
import type { Row } from '../store/schema.ts';
import { getTeam } from '../store/teams.ts';
import { invalid } from './problem.ts';
import type { NewEnvironment } from './schemas.ts';

/** A new environment with its settings in their stored form. */
type PlacedEnvironment = Omit<z.infer<typeof NewEnvironment>, 'settings'> & { readonly settings: Settings };

type PlaceDeps = Pick<HubDeps, 'clock' | 'config' | 'hubUrl'>;

/**
 * Stores a new environment of `project`. Call it in a transaction (`db`). Returns its id.
 * @throws OrkestrError ORK_INVALID (no host to choose, over the plan), ORK_NOT_FOUND (host), ORK_CONFLICT (slug),
 * ORK_ROUTE_TAKEN
 */
export async function placeEnvironment(
  deps: PlaceDeps,
  db: Db,
  project: Pick<Row<'project'>, 'id' | 'team_id' | 'slug'>,
  wanted: PlacedEnvironment,
  isFirst: boolean,
): Promise<string> {
  const id = randomUUIDv7();
  const hostId = await chooseHost(db, project.team_id, wanted.hostId);
  await checkPlan(db, project.team_id, wanted.settings);
  const settings = await withDomain(deps, db, wanted.settings, {
    project: project.slug,
    environment: wanted.slug,
    environmentId: id,
    isFirst,
  });
  await insertEnvironment(db, {
    id,
    project_id: project.id,
    slug: wanted.slug,
    branch: wanted.branch,
    host_id: hostId,
    settings,
    created_at: deps.clock.now().toISOString(),
  });
  return id;
}

/**
 * The settings unchanged if they name a domain, or are those of a worker, which has none; otherwise with the first
 * default domain that is free or already its own.
 * @param stored the settings before a change: a canonical host that the change does not touch is not checked again
 * @throws OrkestrError ORK_INVALID, also for a worker with domains, when no default domain is free, and when none covers
 *   the canonical host; ORK_ROUTE_TAKEN
 */
export async function withDomain(
  deps: Pick<PlaceDeps, 'config' | 'hubUrl'>,
  db: Db,
  settings: Settings,
  of: Omit<Parameters<typeof defaultDomains>[0], 'appsUrl'>,
  stored?: Settings,
): Promise<Settings> {
  checkDomains(settings.domains, { hub: deps.hubUrl(), apps: deps.config.appsUrl });
  if (isWorker(settings)) return withoutDomains(settings);
  const domains = settings.domains.length > 0 ? settings.domains : [await freeDomain(deps, db, of)];
  const placed = { ...settings, domains };
  if (stored === undefined || !isSameCanonicalHost(stored, placed)) checkCanonicalHost(placed);
  return placed;
}

const isSameCanonicalHost = (before: Settings, after: Settings): boolean =>
  before.edge.canonicalHost === after.edge.canonicalHost &&
  JSON.stringify(before.domains) === JSON.stringify(after.domains);

async function freeDomain(
  deps: Pick<PlaceDeps, 'config'>,
  db: Db,
  of: Omit<Parameters<typeof defaultDomains>[0], 'appsUrl'>,
): Promise<Domain> {
  for (const domain of defaultDomains({ ...of, appsUrl: deps.config.appsUrl })) {
    if (await isRouteFree(db, of.environmentId, domain)) return domain;
  }
  throw invalid(['settings.domains: the default domains are taken; name one']);
}

/**
 * A domain that is there is never dropped without being asked for: visitors may use it.
 * @throws OrkestrError ORK_INVALID
 */
function withoutDomains(settings: Settings): Settings {
  if (settings.domains.length === 0) return settings;
  const hosts = settings.domains.map(({ host }) => host).join(', ');
  throw invalid([
    `settings.domains: a worker (healthCheck.kind "running") has no domains, since nothing connects to it; give up ${hosts} with "domains": [] (orkestr environment set --worker), or choose another health check`,
  ]);
}

/** @throws OrkestrError ORK_INVALID naming each field that exceeds the team's plan */
export async function checkPlan(db: Db, teamId: string, { build }: Pick<Settings, 'build'>): Promise<void> {
  const over = overPlan(build, planOf(await getTeam(db, teamId)));
  if (over.length > 0) throw invalid(over);
}

async function chooseHost(db: Db, teamId: string, wanted: string | undefined): Promise<string> {
  if (wanted !== undefined) return (await getHost(db, teamId, wanted)).id;
  const [host, ...others] = await listHosts(db, teamId);
  if (host === undefined) throw invalid(['hostId: the team has no host yet; add one first: orkestr hosts add NAME']);
  if (others.length === 0) return host.id;
  const names = [host, ...others].map(({ id, name }) => `${name} (${id})`);
  throw invalid([`hostId: the team has ${names.length} hosts; name one (--host): ${names.join(', ')}`]);
}
