/** `orkestr-agent remove ENVIRONMENT`. */
import type { Command } from 'commander';
import { Uuid } from '../../../protocol/ids.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { readConfig } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import { askNames, askRemoval, orderRemoval } from '../../local-api/client.ts';
import type { Removal } from '../../local-api/client.ts';

const LOOK_MS = 500;
/** An agent that is restarted meanwhile goes on with it; it is waited for this long, ms. */
const AWAY_MS = 60_000;

const REMOVE_HELP = `
Examples:
  $ orkestr-agent remove 01890a5d-ac96-774b-bcce-b302099a8057
  $ orkestr-agent remove 01890a5d-ac96-774b-bcce-b302099a8057 --yes  # for scripts

For an environment that the hub does not know any more, as it was put back from a backup. Its id stands where its domain is
refused to another one (ORK_ROUTE_TAKEN). Gone are its route, containers, images and network, as when it is deleted at the hub;
what is under way in it ends. The hub is not asked: one that it does know is down until it is deployed again, so delete
that one there. The agent has to run.`;

/** Adds `remove`. */
export function addRemoveCommand(cli: Command): void {
  cli
    .command('remove <environment>')
    .description('take one environment off this host that the hub does not know any more; asks for its id first')
    .option('--yes', 'ask nothing')
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
  process.stdout.write(`Environment ${id} is off this host.\n`);
}

async function ask(agentSocket: string, id: string): Promise<void> {
  const { confirm } = await import('../confirmation.ts');
  const name = (await askNames(agentSocket)).get(id);
  const going = `Environment ${id}${name === undefined ? '' : ` (${name})`} goes off this host.`;
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
