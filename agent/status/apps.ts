/** Live apps that do not keep running, although the host brings them back again and again. */
import type { AgentView } from '../local-api/agent-view.ts';
import { UNKNOWN } from './check.ts';
import type { Check } from './check.ts';

type Down = NonNullable<AgentView['downApps']>[number];

export const apps: Check = {
  name: 'apps',
  async run({ agent }) {
    if (agent === null) return UNKNOWN;
    const { downApps } = agent;
    if (downApps === undefined) {
      return { level: 'ok', summary: 'the agent has not watched them for long enough since its start', data: {} };
    }
    return {
      level: downApps.length > 0 ? 'degraded' : 'ok',
      summary: downApps.length === 0 ? 'none is down' : `${downApps.length} down`,
      details: downApps.map(describe),
      data: { down: downApps },
    };
  },
};

const describe = ({ environment, since, message, errorCode, restarts }: Down): string =>
  `${environment}: down since ${since}: ${message} (${errorCode}), ${restarts} restarts by Docker; its log: orkestr-agent logs --app ${environment}`;
