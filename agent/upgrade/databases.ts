/**
 * Before a migration, agent and hub put a copy of their database beside it (`.before`). Going back restores the copy,
 * because the older version does not read the newer schema. What was written in between is lost then, and only then.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { COPY_SUFFIX, HALF_COPY_SUFFIX } from '../../protocol/service/database-copy.ts';
import { JOURNAL_FILE } from '../journal/database.ts';
import type { Layout } from './layout.ts';

export const hubDatabase = (layout: Layout): string => join(layout.hubState, 'hub.sqlite');

/** @param agentState the agent's state folder */
const databases = (layout: Layout, agentState: string): readonly string[] => [
  join(agentState, JOURNAL_FILE),
  hubDatabase(layout),
];

/** Deletes copies of an earlier upgrade, so that any found later belong to this one. */
export function forgetCopies(layout: Layout, agentState: string): void {
  for (const path of databases(layout, agentState)) rmSync(`${path}${COPY_SUFFIX}`, { force: true });
}

/** Call while neither agent nor hub runs. @returns the databases restored */
export function restoreCopies(layout: Layout, agentState: string): readonly string[] {
  // Deletes half-written copies: the older version would never replace them, and they may be as large as the database.
  for (const path of databases(layout, agentState)) rmSync(`${path}${HALF_COPY_SUFFIX}`, { force: true });
  const migrated = databases(layout, agentState).filter((path) => existsSync(`${path}${COPY_SUFFIX}`));
  for (const path of migrated) {
    // First: SQLite would replay the newer file's WAL into the older one.
    for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    renameSync(`${path}${COPY_SUFFIX}`, path);
  }
  return migrated;
}
