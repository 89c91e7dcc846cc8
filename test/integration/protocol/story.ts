/** What users and the network do to a hub while an agent is connected to it. Each act is one line of a conversation. */
import { randomUUIDv7 } from 'node:crypto';
import { COMMIT } from '../../../hub/test-release.ts';
import { until } from '../../harness/until.ts';
import type { TestHub } from '../../../hub/test-hub.ts';
import type { Act } from './conversation.ts';

interface Story {
  /** A token that the agent exchanges for an identity. */
  joinToken(): Promise<string>;
  /** Carries out the hub's part of an act; the network and the clock are the caller's. */
  act(act: Act): Promise<void>;
  /** Status of each deployment, by generation. */
  fates(): Promise<string[]>;
  deploymentAt(generation: number): Promise<string>;
  /** State of the host's upgrade; undefined: none was ordered. */
  upgradeState(): Promise<string | undefined>;
}

/** What the hub upgrades its host to. */
const NEXT_VERSION = '0.2.0';

export function makeStory(hub: TestHub): Story {
  const { db, scheduler, upgrades } = hub.deps;
  const deployments = () => db.selectFrom('deployment').selectAll().orderBy('generation').execute();
  const deploymentAt = async (generation: number): Promise<string> => {
    const found = (await deployments()).find((row) => row.generation === generation);
    if (found === undefined) throw new Error(`There is no deployment of generation ${generation}.`);
    return found.id;
  };
  const upgradeState = async (): Promise<string | undefined> =>
    (await db.selectFrom('upgrade_host').select('state').executeTakeFirst())?.state;
  const acts: Record<Act, () => Promise<void>> = {
    async deploy() {
      const { environmentId } = hub;
      await scheduler.create({ environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: null });
    },
    async cancel() {
      await scheduler.cancel((await deployments()).at(-1)?.id ?? randomUUIDv7());
    },
    async rollback() {
      const answer = await hub.api('POST', `/deployments/${await deploymentAt(1)}/rollback`, {});
      if (!answer.ok) throw new Error(`No rollback: ${await answer.text()}`);
    },
    async remove() {
      const answer = await hub.api('DELETE', `/projects/shop/environments/production`);
      if (!answer.ok) throw new Error(`Not removed: ${await answer.text()}`);
    },
    async upgrade() {
      const { hostId, account } = hub;
      await upgrades.create({ teamId: account.teamId, version: NEXT_VERSION, hostIds: [hostId], atOnce: 1 });
    },
    // The switch ends the connection: what the agent has said before must have arrived.
    replace: () => until(async () => (await upgradeState()) === 'switching'),
    cut: async () => undefined,
    time: async () => undefined,
  };
  return {
    async joinToken() {
      const made = (await (await hub.api('POST', `/hosts/${hub.hostId}/join-token`, {})).json()) as {
        joinToken: string;
      };
      return made.joinToken;
    },
    act: (act) => acts[act](),
    fates: async () => (await deployments()).map(({ status }) => status),
    deploymentAt,
    upgradeState,
  };
}

/** Waits until the hub's deployments have these statuses. */
export const fatesAre = (story: Story, ...fates: string[]): Promise<void> =>
  until(async () => (await story.fates()).join(' ') === fates.join(' '));
