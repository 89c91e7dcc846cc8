/** Waiting and running deployments, and the most recent ones. */
import type { AgentView } from '../local-api/agent-view.ts';
import type { Finding } from '../local-api/status-report.ts';
import { UNKNOWN } from './check.ts';
import type { Check } from './check.ts';
import type { Remembered } from './remembered.ts';

export const deployments: Check = {
  name: 'deployments',
  async run({ agent, remembered }) {
    if (agent === null) return remembered ? fromJournal(remembered) : UNKNOWN;
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

const fromJournal = ({ begun, waiting, recent }: Remembered): Finding => ({
  level: 'down',
  summary: `no agent answers; its journal has ${begun} begun, ${waiting} waiting`,
  details: recent.map(describe),
  data: { recent },
});

const describe = ({ startedAt, environment, kind, state, errorCode }: AgentView['recent'][number]): string =>
  `${startedAt ?? 'not begun'}  ${environment}  ${kind}: ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
