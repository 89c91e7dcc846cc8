/** The command tree. A command imports the modules that only it needs, because a serving agent does not use them. */
import { Command } from 'commander';
import { serve } from '../serve.ts';
import { VERSION } from '../lib/version.ts';
import { addAnalyzeCommand } from './commands/analyze.ts';
import { addBaseImagesCommand } from './commands/base-images.ts';
import { addCertificatesCommand } from './commands/certificates.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExecCommand } from './commands/exec.ts';
import { addFirewallCommand } from './commands/firewall.ts';
import { addLogsCommand } from './commands/logs.ts';
import { addMembershipCommands } from './commands/membership.ts';
import { addNetworkCommand } from './commands/network.ts';
import { addRemoveCommand } from './commands/remove.ts';
import { addRoutesCommand } from './commands/routes.ts';
import { addRunCommand } from './commands/run.ts';
import { addStatusCommand } from './commands/status.ts';
import { addUninstallCommand } from './commands/uninstall.ts';
import { addUpgradeCommands } from './commands/upgrade.ts';

const HELP = `
Examples:
  $ orkestr-agent join --hub https://hub.example.com --token TOKEN
  $ orkestr-agent serve
  $ orkestr-agent status
  $ orkestr-agent doctor
  $ orkestr-agent upgrade
  $ orkestr-agent routes
  $ orkestr-agent certificates retry shop.example.com
  $ orkestr-agent logs --step build
  $ orkestr-agent network shop
  $ orkestr-agent exec shop/production -- bin/rails console
  $ orkestr-agent remove ENVIRONMENT
  $ orkestr-agent base-images build node python
  $ orkestr-agent analyze ./shop

Environment (on a host set up by install.sh, missing values come from /etc/orkestr/agent.env):
  ORKESTR_AGENT_STATE    folder of identity, journal, logs and workspaces (default /var/lib/orkestr/agent)
  ORKESTR_AGENT_RUN      folder of sockets (default /run/orkestr)
  ORKESTR_PROXY_SOCKET   admin socket of the proxy (default /run/orkestr/proxy.sock)
  ORKESTR_DOCKER_SOCKET  socket of Docker Engine (default /var/run/docker.sock)
  ORKESTR_BASE_IMAGES    JSON file: kind of base image -> image name
  ORKESTR_BUILD_SLOTS    builds at a time, 1 to 4 (default half of the cores)
  ORKESTR_BUILD_DISK_MIB size of the disk of each build slot (default 20 GiB, less if the host has less room;
                         0: no disk of its own and no limit, for hosts without loop devices)
  ORKESTR_BUILD_IDLE_SECONDS
                         how long an idle build engine, 130 MiB, is kept (default 600, at most 604800)
  ORKESTR_APPS_REACH_EDGE
                         1: apps may connect to ports 80 and 443 of this host (default 0; see docs/isolation.md)
  ORKESTR_CHANNEL        channel that an upgrade takes its version from, if no hub offers one (default stable)
  ORKESTR_LOG_LEVEL      trace, debug, info, warn, error, fatal or silent (default info)`;

/** The command tree of `orkestr-agent`. */
export function buildProgram(): Command {
  const cli = new Command('orkestr-agent')
    .description('The daemon of orkestr on a host: takes jobs from the hub and runs them with Docker Engine.')
    .version(VERSION)
    // The program's own --version comes before a command; after it, --version belongs to the command.
    .enablePositionalOptions()
    .addHelpText('after', HELP);
  cli.command('serve').description('run the agent').action(serve);
  const groups = [
    addMembershipCommands,
    addStatusCommand,
    addRoutesCommand,
    addCertificatesCommand,
    addDoctorCommand,
    addLogsCommand,
    addExecCommand,
    addRunCommand,
    addAnalyzeCommand,
    addBaseImagesCommand,
    addUpgradeCommands,
    addFirewallCommand,
    addNetworkCommand,
    addRemoveCommand,
    addUninstallCommand,
  ];
  for (const add of groups) add(cli);
  return cli;
}
