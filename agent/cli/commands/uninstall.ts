/** `orkestr-agent uninstall`. */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { readConfig } from '../../config.ts';

const UNINSTALL_HELP = `
Examples:
  $ orkestr-agent uninstall
  $ orkestr-agent uninstall --keep-data       # off now, and on again later: the next installation goes on with it
  $ orkestr-agent uninstall --purge           # for scripts

Gone are containers, images, networks, firewall rules and the build engine, and where install.sh was run its units, users,
programs, settings and state (the hub's too, when it is here). Packages of the distribution stay.`;

/** Adds `uninstall`. */
export function addUninstallCommand(cli: Command): void {
  cli
    .command('uninstall')
    .description('take everything of orkestr off the host; asks for its name first')
    .option('--purge', 'ask nothing')
    .option('--keep-data', 'leave state, settings and images for the next installation')
    .addHelpText('after', UNINSTALL_HELP)
    .action(takeOff);
}

async function takeOff({ purge, keepData }: { purge?: true; keepData?: true }): Promise<void> {
  const config = readConfig();
  if (purge && keepData) throw new OrkestrError('ORK_INVALID', 'Choose --keep-data or --purge, not both.');
  if (!purge && !keepData) {
    const { confirmForHost } = await import('../confirmation.ts');
    await confirmForHost('Confirm with --purge, or keep state and images with --keep-data.');
  }
  const { uninstallHost } = await import('../../uninstall/command.ts');
  await uninstallHost(config, keepData === true);
}
