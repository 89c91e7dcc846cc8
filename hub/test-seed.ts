/** For tests: the initial content of a hub's store. */
import { randomUUIDv7 } from 'node:crypto';
import { Settings } from '../protocol/job.ts';
import { type KeyPairPem, makeKeyPair } from '../protocol/signing.ts';
import type { HubDeps } from './deps.ts';
import type { PlanKey } from './plans.ts';
import { type Account, createAccount } from './setup.ts';
import { insertEnvironment } from './store/environments.ts';
import { insertHost } from './store/hosts.ts';
import { insertProject } from './store/projects.ts';

export interface EnrolledHost {
  readonly id: string;
  readonly key: KeyPairPem;
}

interface Place {
  readonly account: Account;
  readonly hostId: string;
  readonly hostKey: KeyPairPem;
  readonly projectId: string;
  readonly environmentId: string;
}
type Core = Pick<HubDeps, 'db' | 'clock'>;

/** A team with one enrolled host and the project `shop`, whose environment `production` deploys `main` there. */
export async function seed(core: Core, plan: PlanKey): Promise<Place> {
  const account = await createAccount(core.db, core.clock, { email: 'a@example.com', team: 'Team', plan });
  const { id: hostId, key: hostKey } = await addHost(core, account.teamId, 'vps-1');
  const projectId = randomUUIDv7();
  const created_at = core.clock.now().toISOString();
  const team_id = account.teamId;
  await insertProject(core.db, { id: projectId, team_id, slug: 'shop', origin: 'hub', created_at });
  const environmentId = await addEnvironment(core, { hostId, projectId }, 'production', 'main');
  return { account, hostId, hostKey, projectId, environmentId };
}

export async function addHost({ db, clock }: Core, team_id: string, name: string): Promise<EnrolledHost> {
  const [id, key] = [randomUUIDv7(), makeKeyPair()];
  const created_at = clock.now().toISOString();
  await insertHost(db, { id, team_id, name, public_key: key.publicKey, acknowledged: 0, created_at });
  return { id, key };
}

export async function addEnvironment(
  { db, clock }: Core,
  { hostId, projectId }: Pick<Place, 'hostId' | 'projectId'>,
  slug: string,
  branch: string,
): Promise<string> {
  const id = randomUUIDv7();
  await insertEnvironment(db, {
    id,
    project_id: projectId,
    slug,
    branch,
    host_id: hostId,
    created_at: clock.now().toISOString(),
    settings: Settings.parse({ domains: [{ host: `${slug}.example.com` }] }),
  });
  return id;
}
