/** `orkestr-agent network PROJECT`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { names } from '../../deployment/step.ts';
import { makeEngine } from '../../docker/engine.ts';
import { ensureNetwork } from '../../docker/networks.ts';
import { requireIdentity, scopeOf } from '../../identity/identity.ts';
import { findProject } from '../project.ts';
import type { NamedProject } from '../project.ts';

const NETWORK_HELP = `
Examples:
  $ orkestr-agent network shop                                   # the project's name, once it is live on this host
  $ orkestr-agent network 01890a5d-ac96-774b-bcce-b302099a8057   # its id, which \`orkestr project show\` prints
  $ docker run -d --name shop-db --network "$(orkestr-agent network shop)" --network-alias db …

All apps of the project on this host reach a container in this network by its alias, and no other project does. The network
goes with the project's last environment on this host, unless a container is still attached to it. Works without hub and agent.`;

/** Adds `network`. */
export function addNetworkCommand(cli: Command): void {
  cli
    .command('network <project>')
    .description("print the name of a project's Docker network; creates the network if it does not exist")
    .option('--json', 'for programs')
    .addHelpText('after', NETWORK_HELP)
    .action(network);
}

async function network(named: string, { json }: { json?: true }): Promise<void> {
  const { stateFolder, dockerSocket } = readConfig();
  const { hostId } = requireIdentity(stateFolder);
  const project = await lookUp(stateFolder, named);
  const name = names.network(project.id);
  await ensureNetwork(makeEngine({ socketPath: dockerSocket }), scopeOf(hostId), { name, projectId: project.id });
  process.stdout.write(json ? `${JSON.stringify({ network: name, project })}\n` : `${name}\n`);
}

async function lookUp(stateFolder: string, named: string): Promise<NamedProject> {
  const { openServing } = await import('../../journal/serving.ts');
  const serving = await openServing(stateFolder);
  try {
    return findProject(serving, named);
  } finally {
    serving?.close();
  }
}
