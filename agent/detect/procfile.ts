/** A Procfile as Heroku and Dokku read it: `web: command`. */
import type { RepositoryView } from './repository.ts';

/** The command of the `web` process, or null when there is no Procfile or no such line. */
export async function procfileWeb(repository: RepositoryView): Promise<string | null> {
  const text = await repository.text('Procfile');
  return text === null ? null : (/^web:[ \t]*(\S.*?)[ \t\r]*$/m.exec(text)?.[1] ?? null);
}
