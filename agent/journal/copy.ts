/** A copy of the journal beside a running agent, for what must not be tried on the real one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JOURNAL_FILE, loadSqlite } from './database.ts';

/**
 * A consistent snapshot, however much the agent writes meanwhile (sqlite.org/lang_vacuum.html).
 * @returns false if this state folder has no journal
 */
export async function copyJournal(stateFolder: string, toFolder: string): Promise<boolean> {
  const path = join(stateFolder, JOURNAL_FILE);
  if (!existsSync(path)) return false;
  const Sqlite = await loadSqlite();
  const database = new Sqlite(path, { readonly: true, timeout: 5000 });
  try {
    database.prepare('VACUUM INTO ?').run(join(toFolder, JOURNAL_FILE));
  } finally {
    database.close();
  }
  return true;
}
