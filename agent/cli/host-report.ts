/** How this host is, whether an agent runs on it or not. */
import type { Config } from '../config.ts';
import { endsTlsBefore } from '../doctor/edge-sockets.ts';
import { systemClock } from '../lib/clock.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { checkAll } from '../status/index.ts';
import type { StatusReport } from '../status/index.ts';
import { askAgent } from '../status/local-api.ts';
import { layoutAt } from '../upgrade/layout.ts';
import { lastUpgrade } from '../upgrade/record.ts';

/** As the agent tells it, or looked at without one. */
export async function hostReport(config: Config): Promise<StatusReport> {
  const answer = await askAgent(config.agentSocket);
  return typeof answer === 'string' ? lookWithoutAgent(config, answer === 'silent') : answer;
}

const lookWithoutAgent = (config: Config, silent: boolean): Promise<StatusReport> => {
  const { dockerSocket, stateFolder, sandboxFolder, proxySocket } = config;
  const proxy = makeProxyClient(proxySocket);
  return checkAll({
    dockerSocket,
    stateFolder,
    sandboxFolder,
    proxy,
    clock: systemClock,
    agent: null,
    silent,
    lastUpgrade: lastUpgrade(layoutAt().record),
    endsTlsBefore: endsTlsBefore('/'),
  });
};
