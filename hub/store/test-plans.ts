/**
 * For tests: notes the statements that go through a database, and asks SQLite how it finds their rows. It decides by the schema
 * alone, for the hub never runs ANALYZE: what it says of an empty database is what it does with a full one.
 */
import { CompiledQuery, type Kysely, type KyselyPlugin } from 'kysely';
import type { Db } from './database.ts';
import type { Database } from './schema.ts';

/** As many rows as people have made or as wait for something. All others get more by the day. */
const SMALL: ReadonlySet<string> = new Set([
  'team',
  'user',
  'membership',
  'api_token',
  'host',
  'project',
  'environment',
  'route',
  'failing_certificate',
  'variable',
  'registry',
  'removal',
  'receiver',
  'stray_repository',
]);

export interface WatchedDb {
  readonly db: Db;
  /** Steps in which SQLite would take each statement so far, by the statement. */
  plans(this: void): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Statements that take longer the longer the hub has been in use, with their steps. */
  slow(this: void): Promise<readonly string[]>;
}

export function watchPlans(plain: Kysely<Database>): WatchedDb {
  const seen = new Map<string, readonly unknown[]>();
  const note: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      const { sql, parameters } = plain.getExecutor().compileQuery(node, queryId);
      seen.set(sql, parameters);
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
  const plans = async (): Promise<Map<string, readonly string[]>> => {
    const all = new Map<string, readonly string[]>();
    for (const [sql, parameters] of seen) {
      const { rows } = await plain.executeQuery<{ detail: string }>(
        CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]),
      );
      all.set(
        sql,
        rows.map(({ detail }) => detail),
      );
    }
    return all;
  };
  return {
    db: plain.withPlugin(note),
    plans,
    async slow() {
      return [...(await plans())]
        .filter(
          ([sql, steps]) => steps.some(readsWholeTable) || readsWholeHistory(sql, steps) || sortsForPage(sql, steps),
        )
        .map(([sql, steps]) => `${sql}\n  ${steps.join('\n  ')}`);
    },
  };
}

/** Also by an index, when all of it is read. */
const readsWholeTable = (step: string): boolean => growing(/^SCAN ([a-z]\w*)/, step);

/** All deployments that an environment ever had, but where they go with it. */
const readsWholeHistory = (sql: string, steps: readonly string[]): boolean =>
  !/^delete | limit /.test(sql) && steps.some((step) => /^SEARCH deployment .*\(environment_id=\?\)$/.test(step));

/** All rows are read and sorted for the few that are asked for. */
const sortsForPage = (sql: string, steps: readonly string[]): boolean =>
  / limit /.test(sql) &&
  steps.some((step) => step.startsWith('USE TEMP B-TREE FOR ORDER BY')) &&
  steps.some((step) => growing(/^(?:SCAN|SEARCH) ([a-z]\w*)/, step));

/** Names of tables are in small letters; SQLite's own words for lists and constants are not. */
function growing(pattern: RegExp, step: string): boolean {
  const table = pattern.exec(step)?.[1];
  return table !== undefined && !SMALL.has(table);
}
