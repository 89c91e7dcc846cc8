/** What each plan of a team includes. */
import { OrkestrError } from '../protocol/errors.ts';

export interface Plan {
  readonly name: string;
  /** Images of an environment that stay on its host, the live one included. */
  readonly keepImages: number;
  readonly rollback: boolean;
}

export const PLANS = {
  free: { name: 'Free', keepImages: 1, rollback: false },
  pro: { name: 'Pro', keepImages: 5, rollback: true },
  team: { name: 'Team', keepImages: 20, rollback: true },
} as const satisfies Record<string, Plan>;

export type PlanKey = keyof typeof PLANS;

/** The plan that a team's row names. @throws OrkestrError ORK_CONFIG when this version does not know it. */
export function planOf(team: { readonly plan: string }): Plan {
  if (Object.hasOwn(PLANS, team.plan)) return PLANS[team.plan as PlanKey];
  throw new OrkestrError('ORK_CONFIG', `The team has the plan "${team.plan}", which this version does not know.`);
}
