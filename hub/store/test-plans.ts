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

interface Step {
  readonly detail: string;
  /** 0: of the statement itself. Those of its subqueries are below another. */
  readonly parent: number;
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
  const explain = async (): Promise<ReadonlyArray<readonly [sql: string, steps: readonly Step[]]>> => {
    const all: [string, Step[]][] = [];
    for (const [sql, parameters] of seen) {
      const plan = CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]);
      all.push([sql, (await plain.executeQuery<Step>(plan)).rows]);
    }
    return all;
  };
  return {
    db: plain.withPlugin(note),
    async plans() {
      return new Map((await explain()).map(([sql, steps]) => [sql, detailsOf(steps)]));
    },
    async slow() {
      return (await explain())
        .filter(
          ([sql, steps]) =>
            detailsOf(steps).some(readsWholeTable) ||
            readsWholeHistory(sql, steps) ||
            sortsForPage(sql, detailsOf(steps)),
        )
        .map(([sql, steps]) => `${sql}\n  ${detailsOf(steps).join('\n  ')}`);
    },
  };
}

const detailsOf = (steps: readonly Step[]): string[] => steps.map(({ detail }) => detail);

/** Also by an index, when all of it is read. */
const readsWholeTable = (step: string): boolean => growing(/^SCAN ([a-z]\w*)/, step);

/**
 * All deployments or releases that an environment ever had, but where they go with it. By the name of the index: a table may have
 * another one in its statement. A limit is one of the select that it stands in: another may still look through all, for each row.
 */
const readsWholeHistory = (sql: string, steps: readonly Step[]): boolean =>
  !sql.startsWith('delete from "environment"') &&
  steps
    .filter(({ parent }) => parent !== 0 || !withoutSubqueries(sql).includes(' limit '))
    .some(({ detail }) => / INDEX (?:deployment|release)_\w+ \(environment_id=\?\)$/.test(detail));

function withoutSubqueries(sql: string): string {
  const shorter = sql.replace(/\([^()]*\)/g, '');
  return shorter === sql ? sql : withoutSubqueries(shorter);
}

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
