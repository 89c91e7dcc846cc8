/** `orkestr-agent hub`: prints or changes the address at which this host reaches its hub. */
import { isInstalled } from '../../protocol/service/installation.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../deployment/ports.ts';
import { hubOf, moveHub } from '../identity/move-hub.ts';
import { run } from '../lib/exec.ts';
import { AGENT_UNIT } from '../upgrade/services.ts';

const RESTART_MS = 120_000;

/** Without `url`, prints the address. With one, changes it, and restarts an installed agent, which then dials there. */
export async function hubAddress(config: Config, url: string | undefined, clock: Clock): Promise<void> {
  if (url === undefined) return void process.stdout.write(`${hubOf(config.stateFolder).hub.url}\n`);
  const { from, to } = await moveHub(config.stateFolder, url, clock);
  if (isInstalled(process.execPath)) await run('systemctl', ['try-restart', AGENT_UNIT], { timeoutMs: RESTART_MS });
  process.stdout.write(`The hub address of this host has changed from ${from} to ${to}.\n`);
}
