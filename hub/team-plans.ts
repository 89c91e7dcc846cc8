/** Which team has which plan. The operator of the hub's machine changes plans, also while the hub runs. */
import { OrkestrError } from '../protocol/errors.ts';
import { type Plan, type PlanKey, planOf, PLANS } from './plans.ts';
import type { Db } from './store/database.ts';
import { listTeams, setPlan } from './store/teams.ts';

interface TeamPlan {
  readonly slug: string;
  readonly name: string;
  readonly plan: string;
}

/** All teams, or the one with that slug. @throws OrkestrError ORK_NOT_FOUND */
export async function listTeamPlans(db: Db, slug?: string): Promise<TeamPlan[]> {
  const teams = (await listTeams(db)).map(({ slug: of, name, plan }) => ({ slug: of, name, plan }));
  if (slug === undefined) return teams;
  const named = teams.filter((team) => team.slug === slug);
  if (named.length > 0) return named;
  const there = teams.map((team) => team.slug).join(', ');
  throw new OrkestrError('ORK_NOT_FOUND', `There is no team "${slug}". The teams of this hub: ${there || 'none'}.`);
}

/**
 * Applies from the next deployment. Settings that exceed a lower plan are kept; each job lowers them to the plan.
 * @throws OrkestrError ORK_NOT_FOUND (team), ORK_INVALID (plan)
 */
export async function changePlan(db: Db, slug: string, plan: string): Promise<void> {
  await listTeamPlans(db, slug);
  if (!isPlan(plan)) {
    throw new OrkestrError('ORK_INVALID', `There is no plan "${plan}". The plans: ${Object.keys(PLANS).join(', ')}.`);
  }
  await setPlan(db, slug, plan);
}

/** Text output: each team with its plan, and what the plans include. */
export function describePlans(teams: readonly TeamPlan[]): string {
  const lines = teams.map(
    ({ slug, name, plan }) => `${slug}  ${Object.hasOwn(PLANS, plan) ? planOf({ plan }).name : plan}  ${name}`,
  );
  const plans = Object.entries(PLANS).map(([key, plan]) => `${key}  ${describe(plan)}`);
  return [...lines, '', ...plans, ''].join('\n');
}

const isPlan = (text: string): text is PlanKey => Object.hasOwn(PLANS, text);

const describe = ({ build, keepImages, keepDetails, rollback }: Plan): string =>
  `a build: ${build.memoryMiB} MiB of memory, ${build.cpus} CPUs, ${build.diskMiB} MiB of disk, ${build.timeoutSeconds} s; ` +
  `an environment: ${keepImages} images and the logs of ${keepDetails} deployments are kept, ${rollback ? 'with' : 'without'} rollbacks`;
