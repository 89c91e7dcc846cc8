/** A hub's state folder for tests: a real database with a user, keys, and a repository. */
import { writeFileSync } from 'node:fs';
import { loadHubKey } from '../auth/hub-key.ts';
import { Repositories } from '../git/repositories.ts';
import { systemClock } from '../hub.ts';
import { setUp } from '../setup.ts';
import { prepareState } from '../state.ts';
import { openDatabase } from '../store/database.ts';

export const PROJECT = '01890a5d-ac96-774b-bcce-b302099a8057';

/** @returns path of its only repository, which is empty */
export async function makeHub(hub: string): Promise<string> {
  const paths = prepareState(hub);
  const db = await openDatabase(paths.database);
  await setUp(db, systemClock, { email: 'root@localhost', team: 'First' });
  await db.destroy();
  loadHubKey(paths.hubKey);
  writeFileSync(paths.secretKey, 'a key', { mode: 0o600 });
  const repositories = new Repositories(hub);
  await repositories.prepare();
  await repositories.create(PROJECT);
  return repositories.path(PROJECT);
}

/** Names of the teams, as proof that the database exists and works. */
export async function teamsOf(hub: string): Promise<string[]> {
  const db = await openDatabase(prepareState(hub).database);
  try {
    return (await db.selectFrom('team').select('name').execute()).map(({ name }) => name);
  } finally {
    await db.destroy();
  }
}
