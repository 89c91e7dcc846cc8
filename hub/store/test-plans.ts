/**
 * For tests: records the statements that go through a database, and asks SQLite for their query plans. The plans depend
 * on the schema alone, since the hub never runs ANALYZE: an empty database gives the same plans as a full one.
 */
import { CompiledQuery, type Kysely, type KyselyPlugin } from 'kysely';
import type { Db } from './database.ts';
import type { Database } from './schema.ts';

/** Tables whose size is bounded by what people create or by pending work. All others grow over time. */
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
  'down_app',
  'variable',
  'registry',
  'removal',
  'receiver',
  'stray_repository',
]);

export interface WatchedDb {
  readonly db: Db;
  /** Plan steps of each statement so far, by statement. */
  plans(this: void): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Statements whose cost grows over the hub's lifetime, with their plan steps. */
  slow(this: void): Promise<readonly string[]>;
}

interface Step {
  readonly detail: string;
  /** 0 for the statement itself; steps of subqueries have another parent. */
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

/** Includes full scans of an index. */
const readsWholeTable = (step: string): boolean => growing(/^SCAN ([a-z]\w*)/, step);

/**
 * Whether the plan reads all deployments or releases that an environment ever had, except to delete the environment.
 * Matches by index name, since a table may be aliased. A limit applies only to its own select: another one may still
 * scan everything, for each row.
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

/** Whether all rows are read and sorted to return a few. */
const sortsForPage = (sql: string, steps: readonly string[]): boolean =>
  / limit /.test(sql) &&
  steps.some((step) => step.startsWith('USE TEMP B-TREE FOR ORDER BY')) &&
  steps.some((step) => growing(/^(?:SCAN|SEARCH) ([a-z]\w*)/, step));

/** Table names are in lower case; SQLite's own words for lists and constants are not. */
function growing(pattern: RegExp, step: string): boolean {
  const table = pattern.exec(step)?.[1];
  return table !== undefined && !SMALL.has(table);
}
