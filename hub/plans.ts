/** What each plan of a team includes. */
import { OrkestrError } from '../protocol/errors.ts';
import type { BuildLimits } from '../protocol/job.ts';

/** The build limits that a plan bounds. */
const BOUNDED = ['memoryMiB', 'cpus', 'diskMiB', 'timeoutSeconds'] as const satisfies (keyof BuildLimits)[];

export interface Plan {
  readonly name: string;
  /** Images of an environment that its host keeps, the live one included. */
  readonly keepImages: number;
  /** Number of newest deployments per environment whose logs, events, step outputs and variables the hub keeps. */
  readonly keepDetails: number;
  readonly rollback: boolean;
  /** Upper bounds of an environment's build limits. */
  readonly build: Readonly<Record<(typeof BOUNDED)[number], number>>;
}

export const PLANS = {
  free: {
    name: 'Free',
    keepImages: 1,
    keepDetails: 50,
    rollback: false,
    build: { memoryMiB: 2048, cpus: 2, diskMiB: 8192, timeoutSeconds: 1800 },
  },
  pro: {
    name: 'Pro',
    keepImages: 5,
    keepDetails: 100,
    rollback: true,
    build: { memoryMiB: 8192, cpus: 4, diskMiB: 32_768, timeoutSeconds: 3600 },
  },
  team: {
    name: 'Team',
    keepImages: 20,
    keepDetails: 200,
    rollback: true,
    build: { memoryMiB: 65_536, cpus: 16, diskMiB: 262_144, timeoutSeconds: 14_400 },
  },
} as const satisfies Record<string, Plan>;

export type PlanKey = keyof typeof PLANS;

/** The plan that a team's row names. @throws OrkestrError ORK_CONFIG when this version does not know it. */
export function planOf(team: { readonly plan: string }): Plan {
  if (Object.hasOwn(PLANS, team.plan)) return PLANS[team.plan as PlanKey];
  throw new OrkestrError('ORK_CONFIG', `The team has the plan "${team.plan}", which this version does not know.`);
}

/** The limits of `build` that exceed those of the plan, one line each: field, limit and plan. */
export function overPlan(build: BuildLimits, plan: Plan): readonly string[] {
  return BOUNDED.filter((name) => build[name] > plan.build[name]).map(
    (name) => `settings.build.${name}: ${build[name]} exceeds the limit of the plan ${plan.name}, ${plan.build[name]}`,
  );
}

/** The limits of `build`, lowered to those of the plan: the settings may be older than the plan. */
export function withinPlan(build: BuildLimits, plan: Plan): BuildLimits {
  const lowered = BOUNDED.map((name) => [name, Math.min(build[name], plan.build[name])]);
  return { ...build, ...Object.fromEntries(lowered) };
}
