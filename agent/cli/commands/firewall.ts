/** `orkestr-agent firewall`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { makeFirewall } from '../../firewall/firewall.ts';
import { requireIdentity, scopeOf } from '../../identity/identity.ts';

const FIREWALL_HELP = `
Examples:
  $ orkestr-agent firewall                    # as orkestr-firewall.service does it at boot, before Docker starts apps
  $ iptables -t mangle -S                     # what is there

Neither hub nor agent nor Docker is needed. \`orkestr-agent doctor\` says what is not in place.`;

/** Adds `firewall`. */
export function addFirewallCommand(cli: Command): void {
  cli
    .command('firewall')
    .description('set the rules that keep apps in; safe to repeat. A running agent does it by itself')
    .addHelpText('after', FIREWALL_HELP)
    .action(setRules);
}

/** At boot, before Docker Engine starts apps (installer/units/orkestr-firewall.service): it needs no other process of ours. */
async function setRules(): Promise<void> {
  const { hostId } = requireIdentity(readConfig().stateFolder);
  await makeFirewall({ scope: scopeOf(hostId) }).ensure();
  process.stdout.write('The rules that keep apps in are in place.\n');
}
