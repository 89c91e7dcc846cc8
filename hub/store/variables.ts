/** Variables of environments: sealed one by one, bound to their environment and name. */
import type { Sealer } from '../../protocol/sealing.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

export function listVariables(db: Db, environmentId: string): Promise<Pick<Row<'variable'>, 'name' | 'updated_at'>[]> {
  return db
    .selectFrom('variable')
    .select(['name', 'updated_at'])
    .where('environment_id', '=', environmentId)
    .orderBy('name')
    .execute();
}

/** How many variables an environment has, and how long they are when sealed (base64), in characters. */
export async function measureVariables(
  db: Db,
  environmentId: string,
): Promise<{ readonly count: number; readonly characters: number }> {
  const row = await db
    .selectFrom('variable')
    .select(({ fn }) => [
      fn.countAll<number>().as('count'),
      fn.sum<number | null>(fn<number>('length', ['value'])).as('characters'),
    ])
    .where('environment_id', '=', environmentId)
    .executeTakeFirstOrThrow();
  return { count: row.count, characters: row.characters ?? 0 };
}

/** Sets the named ones, removes those given as null, and counts the environment's `env_version` up. Call it in a transaction. */
export async function changeVariables(
  db: Db,
  sealer: Sealer,
  environmentId: string,
  change: Readonly<Record<string, string | null>>,
  now: string,
): Promise<void> {
  for (const [name, text] of Object.entries(change)) {
    if (text === null) {
      await db.deleteFrom('variable').where('environment_id', '=', environmentId).where('name', '=', name).execute();
      continue;
    }
    const value = sealer.seal(text, sealContext(environmentId, name));
    await db
      .insertInto('variable')
      .values({ environment_id: environmentId, name, value, updated_at: now })
      .onConflict((conflict) => conflict.columns(['environment_id', 'name']).doUpdateSet({ value, updated_at: now }))
      .execute();
  }
  await db
    .updateTable('environment')
    .set((row) => ({ env_version: row('env_version', '+', 1) }))
    .where('id', '=', environmentId)
    .execute();
}

/** The variables in plain text: for a job, and for nothing else. */
export async function openVariables(db: Db, sealer: Sealer, environmentId: string): Promise<Record<string, string>> {
  const rows = await db
    .selectFrom('variable')
    .select(['name', 'value'])
    .where('environment_id', '=', environmentId)
    .orderBy('name')
    .execute();
  return Object.fromEntries(
    rows.map(({ name, value }) => [name, sealer.open(value, sealContext(environmentId, name))]),
  );
}

const sealContext = (environmentId: string, name: string): string => `variable/${environmentId}/${name}`;
