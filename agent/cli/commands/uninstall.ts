/** `orkestr-agent uninstall`. */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { readConfig } from '../../config.ts';

const UNINSTALL_HELP = `
Examples:
  $ orkestr-agent uninstall
  $ orkestr-agent uninstall --keep-data       # for a later installation, which reuses the data
  $ orkestr-agent uninstall --purge           # for scripts

This removes containers, images, networks, firewall rules and the build engine, and after install.sh also its units, users,
programs, settings and state (including those of a hub on this host). Packages of the distribution are kept.`;

/** Adds `uninstall`. */
export function addUninstallCommand(cli: Command): void {
  cli
    .command('uninstall')
    .description('remove everything of orkestr from the host; asks for its name first')
    .option('--purge', 'do not ask')
    .option('--keep-data', 'keep state, settings and images for the next installation')
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
