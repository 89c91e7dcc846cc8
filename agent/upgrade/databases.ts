/**
 * Agent and hub keep a copy of their database from before a migration beside it (`.before`). Going back puts it in place
 * again, as the older version does not read the newer schema; what was written in between is lost then, and only then.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { COPY_SUFFIX, HALF_COPY_SUFFIX } from '../../protocol/service/database-copy.ts';
import { JOURNAL_FILE } from '../journal/database.ts';
import type { Layout } from './layout.ts';

export const hubDatabase = (layout: Layout): string => join(layout.hubState, 'hub.sqlite');

/** @param agentState its state folder */
const databases = (layout: Layout, agentState: string): readonly string[] => [
  join(agentState, JOURNAL_FILE),
  hubDatabase(layout),
];

/** Of an earlier upgrade: what is there afterwards is of this one. */
export function forgetCopies(layout: Layout, agentState: string): void {
  for (const path of databases(layout, agentState)) rmSync(`${path}${COPY_SUFFIX}`, { force: true });
}

/** Call while neither agent nor hub runs. @returns what was put back */
export function restoreCopies(layout: Layout, agentState: string): readonly string[] {
  // Of one that was stopped in the middle: the older version makes none, and it may be as large as the database.
  for (const path of databases(layout, agentState)) rmSync(`${path}${HALF_COPY_SUFFIX}`, { force: true });
  const migrated = databases(layout, agentState).filter((path) => existsSync(`${path}${COPY_SUFFIX}`));
  for (const path of migrated) {
    // First: a log of the newer file would be played into the older one.
    for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    renameSync(`${path}${COPY_SUFFIX}`, path);
  }
  return migrated;
}
