/** Teams: the owners of hosts, projects and tokens. */
import type { PlanKey } from '../plans.ts';
import type { Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { NewRow, Row } from './schema.ts';

export async function insertTeam(db: Db, team: NewRow<'team'>): Promise<void> {
  await db.insertInto('team').values(team).execute();
}

/** @throws OrkestrError ORK_NOT_FOUND */
export async function getTeam(db: Db, teamId: string): Promise<Row<'team'>> {
  const team = await db.selectFrom('team').selectAll().where('id', '=', teamId).executeTakeFirst();
  if (team === undefined) throw notFound('team', teamId);
  return team;
}

/** Oldest first. */
export function listTeams(db: Db): Promise<Row<'team'>[]> {
  return db.selectFrom('team').selectAll().orderBy('id').execute();
}

export async function setPlan(db: Db, slug: string, plan: PlanKey): Promise<void> {
  await db.updateTable('team').set({ plan }).where('slug', '=', slug).execute();
}

/** The team that the environment belongs to; undefined when the environment is gone. */
export function findTeamOfEnvironment(db: Db, environmentId: string): Promise<Row<'team'> | undefined> {
  return db
    .selectFrom('environment')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .innerJoin('team', 'team.id', 'project.team_id')
    .selectAll('team')
    .where('environment.id', '=', environmentId)
    .executeTakeFirst();
}
