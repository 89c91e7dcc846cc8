/** The state of this host, whether an agent runs on it or not. */
import type { Config } from '../config.ts';
import { endsTlsBefore } from '../host-facts/edge-sockets.ts';
import { systemClock } from '../lib/clock.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import { checkAll } from '../status/index.ts';
import { readRemembered } from '../status/remembered.ts';
import type { StatusReport } from '../local-api/status-report.ts';
import { askAgent } from '../local-api/client.ts';
import { layoutAt } from '../upgrade/layout.ts';
import { lastUpgrade } from '../upgrade/record.ts';

/**
 * From the running agent, or from checks in this process if there is none.
 * @param answerMs how long to wait for a part that may not answer
 */
export async function hostReport(config: Config, answerMs = ANSWER_MS): Promise<StatusReport> {
  const answer = await askAgent(config.agentSocket, answerMs);
  return typeof answer === 'string' ? lookWithoutAgent(config, answer === 'silent', answerMs) : answer;
}

async function lookWithoutAgent(config: Config, silent: boolean, answerMs: number): Promise<StatusReport> {
  const { dockerSocket, stateFolder, sandboxFolder, proxySocket } = config;
  const proxy = makeProxyClient(proxySocket, { callMs: answerMs });
  return checkAll({
    answerMs,
    dockerSocket,
    stateFolder,
    sandboxFolder,
    proxy,
    clock: systemClock,
    agent: null,
    remembered: await readRemembered(stateFolder),
    silent,
    lastUpgrade: lastUpgrade(layoutAt().record),
    endsTlsBefore: endsTlsBefore('/'),
  });
}
