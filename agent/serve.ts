/** `orkestr-agent serve`: the agent process, from its start to the signal that ends it. */
import { tidyAtFirstRest, tidyWhenGrown } from '../protocol/service/tidy.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { onShutdown } from '../protocol/service/shutdown.ts';
import { makeSupervisor } from '../protocol/service/systemd.ts';
import { buildAgent } from './compose.ts';
import { readConfig } from './config.ts';
import { requireIdentity } from './identity/identity.ts';

/** From the first signal to a forced exit, ms. */
const SHUTDOWN_MS = 20_000;

/** Returns once the agent is ready; a signal ends the process. @throws OrkestrError ORK_ALREADY_RUNNING, ORK_CONFIG */
export async function serve(): Promise<void> {
  const config = readConfig();
  const log = makeLogger('agent', config.logLevel);
  const supervisor = makeSupervisor(config.supervisor, log);
  const agent = await buildAgent(config, requireIdentity(config.stateFolder), log);
  // Pings only while the event loop runs and the journal answers.
  const ping = (): void => {
    try {
      agent.proveAlive();
      supervisor.watchdog();
    } catch (error) {
      log.error({ err: error }, 'the journal does not answer');
    }
  };
  const watchdog = supervisor.watchdogMs === null ? undefined : setInterval(ping, supervisor.watchdogMs);
  onShutdown(log, SHUTDOWN_MS, async () => {
    supervisor.stopping();
    clearInterval(watchdog);
    await agent.stop();
  });
  await agent.start();
  log.info({ hostId: agent.identity.hostId, socket: config.agentSocket, pid: process.pid }, 'ready');
  supervisor.ready('ready');
  tidyAtFirstRest();
  tidyWhenGrown();
}
