/** `orkestr-agent remove ENVIRONMENT`. */
import type { Command } from 'commander';
import { Uuid } from '../../../protocol/ids.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { readConfig } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import { askNames, askRemoval, orderRemoval } from '../../local-api/client.ts';
import type { Removal } from '../../local-api/client.ts';

const LOOK_MS = 500;
/** How long to wait for an agent that is restarted meanwhile and then resumes the removal, ms. */
const AWAY_MS = 60_000;

const REMOVE_HELP = `
Examples:
  $ orkestr-agent remove 01890a5d-ac96-774b-bcce-b302099a8057
  $ orkestr-agent remove 01890a5d-ac96-774b-bcce-b302099a8057 --yes  # for scripts

For an environment that the hub no longer knows, because the hub was restored from a backup. Its id is in the error that refuses
its domain to another environment (ORK_ROUTE_TAKEN). This removes its route, containers, images and network, like deleting it at
the hub, and ends its running deployment. The hub is not asked: if it does know the environment, the app is down until it is
deployed again, so delete such an environment at the hub instead. The agent must be running.`;

/** Adds `remove`. */
export function addRemoveCommand(cli: Command): void {
  cli
    .command('remove <environment>')
    .description('remove an environment from this host that the hub no longer knows; asks for its id first')
    .option('--yes', 'do not ask')
    .addHelpText('after', REMOVE_HELP)
    .action(remove);
}

async function remove(environment: string, { yes }: { yes?: true }): Promise<void> {
  const id = Uuid.safeParse(environment.toLowerCase()).data;
  if (id === undefined) throw new OrkestrError('ORK_INVALID', `${environment} is not the id of an environment.`);
  const { agentSocket } = readConfig();
  if (!yes) await ask(agentSocket, id);
  const { error } = await outcome(agentSocket, await orderRemoval(agentSocket, id));
  if (error) throw new OrkestrError(error.code, error.message, { evidence: error.evidence });
  process.stdout.write(`Environment ${id} was removed from this host.\n`);
}

async function ask(agentSocket: string, id: string): Promise<void> {
  const { confirm } = await import('../confirmation.ts');
  const name = (await askNames(agentSocket)).get(id);
  const going = `Environment ${id}${name === undefined ? '' : ` (${name})`} will be removed from this host.`;
  await confirm({ going, word: id, called: 'id', plainly: 'Confirm with --yes.' });
}

async function outcome(agentSocket: string, removalId: string): Promise<Removal> {
  let heardAt = systemClock.monotonic();
  for (;;) {
    try {
      const removal = await askRemoval(agentSocket, removalId);
      if (removal.ended) return removal;
      heardAt = systemClock.monotonic();
    } catch (error) {
      const isAway = error instanceof OrkestrError && error.code === 'ORK_AGENT_UNREACHABLE';
      if (!isAway || systemClock.monotonic() - heardAt >= AWAY_MS) throw error;
    }
    await systemClock.sleep(LOOK_MS);
  }
}
