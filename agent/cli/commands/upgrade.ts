/** `orkestr-agent upgrade`, and `trial`, which an upgrade runs from the new release before it switches. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { isInstalled } from '../../../protocol/service/installation.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { readConfig } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import { upgradeHost } from '../../upgrade/command.ts';
import type { UpgradeFlags } from '../../upgrade/command.ts';
import { upgradeParts } from '../../upgrade/parts.ts';
import { renderTrial, runTrial } from '../../upgrade/trial.ts';
import { VERSION } from '../../lib/version.ts';

const UPGRADE_HELP = `
Examples:
  $ orkestr-agent upgrade                     # to the version that this host's hub offers
  $ orkestr-agent upgrade --dry-run
  $ orkestr-agent upgrade --from ./release    # files of a release in a folder: for hubs, and hosts without internet
  $ orkestr-agent upgrade --version 0.1.0 --allow-downgrade
  $ orkestr-agent upgrade --follow            # watch the running upgrade, or see how the last one ended

The release is downloaded, verified (it must be signed by the publisher of the running one), tried on this host, and then activated:
apps keep serving, and running deployments continue in the new version. If that does not become healthy, the previous version is
restored automatically. The upgrade runs in a unit of its own, orkestr-upgrade: closing this terminal does not stop it.
Exit code 0: the requested version is running. 1: it is not; the previous version is.`;

const TRIAL_HELP = `
Examples:
  $ /opt/orkestr/releases/0.2.0/bin/orkestr-agent trial
  $ orkestr-agent trial --json

Checks identity, journal (on a migrated copy), Docker Engine, proxy and hub, and changes nothing. Every upgrade does
this with the new release before it switches.`;

/** Adds `upgrade` and `trial`. */
export function addUpgradeCommands(cli: Command): void {
  cli
    .command('upgrade')
    .description('upgrade this host to another release, under traffic; restores the previous one on failure')
    .option('--version <version>', 'version to install (default: the one that the hub offers, or the newest)')
    .option('--from <folder>', 'take the files of the release from there')
    .option('--allow-downgrade', 'allow an older version')
    .option('--dry-run', 'only show what would be done')
    .option('--follow', 'start nothing, only watch the running upgrade')
    .option('--json', 'for programs')
    .addOption(new Option('--carry-out').hideHelp())
    .addHelpText('after', UPGRADE_HELP)
    .action(upgrade);
  cli
    .command('trial')
    .description('check whether this release would work on this host; changes nothing')
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
