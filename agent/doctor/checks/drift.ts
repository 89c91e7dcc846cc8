/**
 * Whether the proxy's table, the journal and Docker agree on what serves. The plan of reconcile shows the differences.
 */
import { HUB_UPSTREAM } from '../../../protocol/hub-upstream.ts';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { observedOf, rememberedOf } from '../observed.ts';
import { plan } from '../../reconcile/plan.ts';
import type { Action, Observed, Remembered } from '../../reconcile/plan.ts';

type Problem = 'not-served' | 'not-remembered' | 'route-to-nothing';

export const drift = defineCheck({
  name: 'drift',
  about: "The proxy's table, the agent's journal and Docker agree about which versions are live.",
  problems: {
    'not-served': {
      level: 'fail',
      says: 'Visitors do not get the version that the journal has as live in environment {environment}: {why}.',
      mend: 'Run `systemctl restart orkestr-agent`: it starts the version and sets its route again. A running agent does so within a minute.',
    },
    'not-remembered': {
      level: 'warn',
      says: 'Environment {environment} is served by a deployment that is not in the journal.',
      mend: 'Run `systemctl restart orkestr-agent`: it adopts the deployment. A running agent does so within a minute.',
    },
    'route-to-nothing': {
      level: 'fail',
      says: 'The proxy has a route to {address} for environment {environment}, which is known to neither the journal nor Docker.',
      mend: 'Deploy the environment again from the hub, or remove it there. If the hub has no such environment: `orkestr-agent remove ENVIRONMENT` with that id.',
    },
  },
  async gather(subject) {
    const [observed, remembered] = await Promise.all([observedOf(subject), rememberedOf(subject)]);
    return { observed, remembered };
  },
  judge({ observed, remembered }) {
    if (remembered === null) return { skipped: 'there is no readable journal' };
    const actions = plan(observed, remembered);
    return {
      summary: `${remembered.live.length} live in the journal, ${observed.table?.upstreams.length ?? 'unknown'} routed, ${observed.containers?.length ?? 'unknown'} containers`,
      findings: [...actions.flatMap(toFinding), ...routesToNothing(observed, remembered)],
    };
  },
});

function toFinding(action: Action): Finding<Problem>[] {
  switch (action.kind) {
    case 'adopt':
      return [{ problem: 'not-remembered', values: { environment: action.live.environmentId } }];
    case 'revive': {
      const { environmentId, deploymentId, entry } = action.live;
      return [
        {
          problem: 'not-served',
          values: { environment: environmentId, why: action.why },
          evidence: [
            `journal: deployment ${deploymentId}, generation ${entry.generation}`,
            `routes: ${entry.routes.map(({ host, pathPrefix }) => host + pathPrefix).join(', ') || 'none'}`,
          ],
        },
      ];
    }
    case 'remove-container':
    case 'remove-workspace':
      return []; // orphans: reported by another check
    default:
      return action satisfies never;
  }
}

/**
 * Upstreams of an unknown environment; the hub's own belongs to none. Without Docker's answer nothing can be concluded.
 */
function routesToNothing({ containers, table }: Observed, { live, unfinished }: Remembered): Finding<Problem>[] {
  if (containers === null || table === null) return [];
  const known = new Set([...live, ...unfinished, ...containers].map(({ environmentId }) => environmentId));
  return table.upstreams
    .filter(({ id }) => id !== HUB_UPSTREAM && !known.has(id))
    .map(({ id, targets }) => ({
      problem: 'route-to-nothing',
      values: {
        environment: id,
        address: targets.map(({ address, port }) => `${address}:${port}`).join(', ') || 'no target',
      },
    }));
}
