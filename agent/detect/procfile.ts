/** A Procfile as Heroku and Dokku read it: `web: command`. */
import type { RepositoryView } from './repository.ts';

/** Characters of a command that is taken for one; settings have the same limit. */
export const MAX_COMMAND = 2000;

/** The command of the `web` process, or null when there is no Procfile or no such line. */
export async function procfileWeb(repository: RepositoryView): Promise<string | null> {
  const text = await repository.text('Procfile');
  const line = /^web:(.*)$/m.exec(text ?? '')?.[1]?.trim();
  return line === undefined || line === '' || line.length > MAX_COMMAND ? null : line;
}
