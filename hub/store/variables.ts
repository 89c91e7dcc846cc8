/** Variables of environments and secrets of their builds: sealed one by one, bound to their environment, kind and name. */
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

/** How many variables of both kinds an environment has, and how long they are when sealed (base64), in characters. */
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
 * Sets the named ones of a kind, removes those given as null, and counts the environment's `env_version` up. Call it in a transaction.
 * @throws OrkestrError ORK_NOT_FOUND for one to remove that is not there: its name may be a slip, and the one that was meant stays
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

/** The variables of a kind in plain text: for a job, and for nothing else. */
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

/** Those for the app have the context that all had before there were kinds. */
const sealContext = (environmentId: string, kind: VariableKind, name: string): string =>
  `${kind === 'app' ? 'variable' : 'build-secret'}/${environmentId}/${name}`;
