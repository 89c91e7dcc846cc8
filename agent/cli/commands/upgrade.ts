/** `orkestr-agent upgrade`, and `trial`, which is what it asks of the new release before it switches. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { isInstalled } from '../../../protocol/service/installation.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { upgradeParts, VERSION } from '../../compose.ts';
import { readConfig } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import { upgradeHost } from '../../upgrade/command.ts';
import type { UpgradeFlags } from '../../upgrade/command.ts';
import { renderTrial, runTrial } from '../../upgrade/trial.ts';

const UPGRADE_HELP = `
Examples:
  $ orkestr-agent upgrade                     # to the version that this host's hub hands on
  $ orkestr-agent upgrade --dry-run
  $ orkestr-agent upgrade --from ./release    # files of a release in a folder: for hubs, and hosts without internet
  $ orkestr-agent upgrade --version 0.1.0 --allow-downgrade
  $ orkestr-agent upgrade --follow            # look on at the one under way, or see how the last one ended

It is fetched, checked (signature of who made the release that runs), tried on this host, and then switched to: apps are
served on, and deployments under way go on in the new version. When that does not get healthy, the one before it
comes back by itself. It is carried out by a unit of its own, orkestr-upgrade: closing this terminal does not stop it.
Exit code 0: the version runs. 1: it does not, and the one before it does.`;

const TRIAL_HELP = `
Examples:
  $ /opt/orkestr/releases/0.2.0/bin/orkestr-agent trial
  $ orkestr-agent trial --json

Identity, journal (a copy is migrated), Docker Engine, proxy and hub are looked at; nothing is changed. Every upgrade does
it with the new release before anything is switched.`;

/** Adds `upgrade` and `trial`. */
export function addUpgradeCommands(cli: Command): void {
  cli
    .command('upgrade')
    .description('bring this host to another release, under traffic; the one before it comes back when that fails')
    .option('--version <version>', 'which one (default: the one that the hub hands on, or the newest)')
    .option('--from <folder>', 'take its files from there')
    .option('--allow-downgrade', 'also to an older one')
    .option('--dry-run', 'say what would be done')
    .option('--follow', 'order nothing: look on at the one under way')
    .option('--json', 'for programs')
    .addOption(new Option('--carry-out').hideHelp())
    .addHelpText('after', UPGRADE_HELP)
    .action(upgrade);
  cli
    .command('trial')
    .description('whether this release would work on this host; changes nothing')
    .option('--json', 'for programs')
    .addHelpText('after', TRIAL_HELP)
    .action(trial);
}

async function upgrade(flags: UpgradeFlags): Promise<void> {
  if (!isInstalled(process.execPath)) {
    throw new OrkestrError('ORK_UPGRADE_UNSUPPORTED', `${process.execPath} is not part of an installation.`);
  }
  process.exitCode = await upgradeHost(upgradeParts(readConfig()), flags, {
    result: (text) => void process.stdout.write(`${text}\n`),
    progress: (text) => void process.stderr.write(`${text}\n`),
  });
}

async function trial({ json }: { json?: true }): Promise<void> {
  const log = makeLogger('agent', 'silent');
  const report = await runTrial({ version: VERSION, config: readConfig(), clock: systemClock, log });
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderTrial(report));
  process.exitCode = report.ok ? 0 : 1;
}
