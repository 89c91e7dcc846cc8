/** `orkestr-agent hub`: where this host reaches its hub, and that the hub is somewhere else from now on. */
import { isInstalled } from '../../protocol/service/installation.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../deployment/ports.ts';
import { hubOf, moveHub } from '../identity/move-hub.ts';
import { run } from '../lib/exec.ts';
import { AGENT_UNIT } from '../upgrade/services.ts';

const RESTART_MS = 120_000;

/** Without `url`: tells it. With one: changes it, and restarts the agent of an installation, which dials there. */
export async function hubAddress(config: Config, url: string | undefined, clock: Clock): Promise<void> {
  if (url === undefined) return void process.stdout.write(`${hubOf(config.stateFolder).hub.url}\n`);
  const { from, to } = await moveHub(config.stateFolder, url, clock);
  if (isInstalled(process.execPath)) await run('systemctl', ['try-restart', AGENT_UNIT], { timeoutMs: RESTART_MS });
  process.stdout.write(`The hub address of this host has changed from ${from} to ${to}.\n`);
}
