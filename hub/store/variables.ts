/** Variables of environments and their build secrets: each sealed, bound to its environment, kind and name. */
import type { Sealer } from '../../protocol/sealing.ts';
import type { Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { Row, VariableKind } from './schema.ts';

const NOUNS: Readonly<Record<VariableKind, string>> = { app: 'variable', build: 'build secret' };

export function listVariables(
  db: Db,
  environmentId: string,
): Promise<Pick<Row<'variable'>, 'kind' | 'name' | 'updated_at'>[]> {
  return db
    .selectFrom('variable')
    .select(['kind', 'name', 'updated_at'])
    .where('environment_id', '=', environmentId)
    .orderBy('kind')
    .orderBy('name')
    .execute();
}

/** Number of variables of both kinds in an environment, and their total sealed length (base64), in characters. */
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

/**
 * Sets the given variables of a kind, deletes those given as null, and increments the environment's `env_version`. Call
 * it in a transaction.
 * @throws OrkestrError ORK_NOT_FOUND when a variable to delete does not exist: the name may be a typo for another one
 */
export async function changeVariables(
  db: Db,
  sealer: Sealer,
  environmentId: string,
  kind: VariableKind,
  change: Readonly<Record<string, string | null>>,
  now: string,
): Promise<void> {
  for (const [name, text] of Object.entries(change)) {
    if (text === null) {
      const { numDeletedRows } = await db
        .deleteFrom('variable')
        .where('environment_id', '=', environmentId)
        .where('kind', '=', kind)
        .where('name', '=', name)
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw notFound(NOUNS[kind], name);
      continue;
    }
    const value = sealer.seal(text, sealContext(environmentId, kind, name));
    await db
      .insertInto('variable')
      .values({ environment_id: environmentId, kind, name, value, updated_at: now })
      .onConflict((conflict) =>
        conflict.columns(['environment_id', 'kind', 'name']).doUpdateSet({ value, updated_at: now }),
      )
      .execute();
  }
  await db
    .updateTable('environment')
    .set((row) => ({ env_version: row('env_version', '+', 1) }))
    .where('id', '=', environmentId)
    .execute();
}

/** The variables of a kind in plain text, for jobs only. */
export async function openVariables(
  db: Db,
  sealer: Sealer,
  environmentId: string,
  kind: VariableKind,
): Promise<Record<string, string>> {
  const rows = await db
    .selectFrom('variable')
    .select(['name', 'value'])
    .where('environment_id', '=', environmentId)
    .where('kind', '=', kind)
    .orderBy('name')
    .execute();
  return Object.fromEntries(
    rows.map(({ name, value }) => [name, sealer.open(value, sealContext(environmentId, kind, name))]),
  );
}

/** App variables keep the context from before kinds existed, so that old rows still open. */
const sealContext = (environmentId: string, kind: VariableKind, name: string): string =>
  `${kind === 'app' ? 'variable' : 'build-secret'}/${environmentId}/${name}`;
