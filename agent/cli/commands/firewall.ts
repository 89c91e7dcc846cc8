/** `orkestr-agent firewall`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { makeFirewall } from '../../firewall/firewall.ts';
import { requireIdentity, scopeOf } from '../../identity/identity.ts';

const FIREWALL_HELP = `
Examples:
  $ orkestr-agent firewall                    # what orkestr-firewall.service runs at boot, before Docker starts apps
  $ iptables -t mangle -S                     # the rules in place

Works without hub, agent and Docker. \`orkestr-agent doctor\` shows missing rules.`;

/** Adds `firewall`. */
export function addFirewallCommand(cli: Command): void {
  cli
    .command('firewall')
    .description('set the rules that isolate apps; safe to repeat. A running agent does this by itself')
    .addHelpText('after', FIREWALL_HELP)
    .action(setRules);
}

/**
 * Runs at boot, before Docker Engine starts apps (installer/units/orkestr-firewall.service). Needs no other process.
 */
async function setRules(): Promise<void> {
  const { stateFolder, appsReachEdge } = readConfig();
  const { hostId } = requireIdentity(stateFolder);
  await makeFirewall({ scope: scopeOf(hostId), appsReachEdge }).ensure();
  process.stdout.write('The rules that isolate apps are in place.\n');
}
