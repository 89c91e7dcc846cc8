/** A Procfile with the semantics of Heroku and Dokku: `web: command`. */
import type { RepositoryView } from './repository.ts';

/** Maximum length of a command; settings have the same limit. */
export const MAX_COMMAND = 2000;

/** The command of the `web` process, or null without a Procfile or such a line. */
export async function procfileWeb(repository: RepositoryView): Promise<string | null> {
  const text = await repository.text('Procfile');
  const line = /^web:(.*)$/m.exec(text ?? '')?.[1]?.trim();
  return line === undefined || line === '' || line.length > MAX_COMMAND ? null : line;
}
