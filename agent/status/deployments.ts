/** Waiting and running deployments, and the most recent ones. */
import type { AgentView } from '../local-api/agent-view.ts';
import type { Check } from './check.ts';

export const deployments: Check = {
  name: 'deployments',
  async run({ agent }) {
    if (agent === null) return { level: 'down', summary: 'unknown: no agent answers', data: {} };
    const running = agent.deployments.filter(({ state }) => state !== 'queued');
    const waiting = agent.deployments.length - running.length;
    return {
      level: 'ok',
      summary: `${running.length} running, ${waiting} waiting`,
      details: [
        ...running.map(({ deploymentId, state, step }) => `${deploymentId}: ${step ?? 'starting'} (${state})`),
        ...agent.recent.map(describe),
      ],
      data: { deployments: agent.deployments, recent: agent.recent },
    };
  },
};

const describe = ({ startedAt, environment, kind, state, errorCode }: AgentView['recent'][number]): string =>
  `${startedAt ?? 'not begun'}  ${environment}  ${kind}: ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
