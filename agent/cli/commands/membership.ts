/** `orkestr-agent join|hub|leave`: which hub this host belongs to. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { joinHub } from '../../identity/join.ts';
import { systemClock } from '../../lib/clock.ts';

const HUB_HELP = `
Examples:
  $ orkestr-agent hub                          # print its address
  $ orkestr-agent hub https://hub.example.com  # the hub has moved: connect there

Apps keep running. It must be the hub that this host was enrolled with, with the same key; any other hub is refused.`;

const LEAVE_HELP = `
Examples:
  $ orkestr-agent leave

This removes containers, images, networks, firewall rules, the build engine, and the agent's state. Programs, settings, the proxy, and a
hub on this host are kept: the host can join again.`;

/** Adds `join`, `hub` and `leave`. */
export function addMembershipCommands(cli: Command): void {
  cli
    .command('join')
    .description('enrol this host with a hub; safe to repeat')
    .requiredOption('--hub <url>', 'address of the hub')
    .requiredOption('--token <token>', 'one-time join token; - reads it from stdin')
    .option('--name <name>', 'name of the host', hostname())
    .action(enrolHost);
  cli
    .command('hub [url]')
    .description('print the address of the hub of this host, or change it after that hub has moved')
    .addHelpText('after', HUB_HELP)
    .action(showOrSetHub);
  cli
    .command('leave')
    .description('leave the hub: removes the apps and keeps the programs; asks for the name of the host first')
    .option('--yes', 'do not ask')
    .addHelpText('after', LEAVE_HELP)
    .action(leave);
}

async function enrolHost({ hub, token, name }: { hub: string; token: string; name: string }): Promise<void> {
  const { stateFolder } = readConfig();
  // From stdin, because the process list shows arguments.
  const joinToken = token === '-' ? readFileSync(process.stdin.fd, 'utf8').trim() : token;
  const enrolment = { hubUrl: hub, joinToken, name, now: systemClock.now() };
  const { identity, joined, keptAside } = await joinHub(stateFolder, enrolment);
  if (keptAside !== null) {
    process.stdout.write(`The previous identity was damaged; it is kept as ${keptAside}.\n`);
  }
  process.stdout.write(
    `${joined ? 'Joined' : 'Already joined'} ${hub} as ${identity.name} (host ${identity.hostId}).\n`,
  );
}

async function showOrSetHub(url: string | undefined): Promise<void> {
  const { hubAddress } = await import('../hub-address.ts');
  await hubAddress(readConfig(), url, systemClock);
}

async function leave({ yes }: { yes?: true }): Promise<void> {
  const config = readConfig();
  if (!yes) {
    const { confirmForHost } = await import('../confirmation.ts');
    await confirmForHost('Confirm with --yes.');
  }
  const { leaveHub } = await import('../../uninstall/command.ts');
  await leaveHub(config);
}
