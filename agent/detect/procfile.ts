/** A Procfile with the semantics of Heroku and Dokku: `web: command`. */
import { Slug } from '../../protocol/ids.ts';
import { shellWord } from '../../protocol/shell-word.ts';
import type { RepositoryView } from './repository.ts';

/** Maximum length of a command; settings have the same limit. */
export const MAX_COMMAND = 2000;

/** The command of the `web` process, or null without a Procfile or such a line. */
export async function procfileWeb(repository: RepositoryView): Promise<string | null> {
  const text = await repository.text('Procfile');
  const line = /^web:(.*)$/m.exec(text ?? '')?.[1]?.trim();
  return line === undefined || line === '' || line.length > MAX_COMMAND ? null : line;
}

interface ProcessType {
  readonly name: string;
  readonly command: string;
}

/** Lines that are no background process: the visitors' one, and the command that Heroku runs before each release. */
const NO_WORKERS: ReadonlySet<string> = new Set(['web', 'release']);
/** A warning names no more. */
const MOST_NAMES = 10;
/** A longer command is left out of the example. */
const LONGEST_EXAMPLE = 200;

async function workersOf(repository: RepositoryView): Promise<readonly ProcessType[]> {
  const text = (await repository.text('Procfile')) ?? '';
  return [...text.matchAll(/^([A-Za-z0-9_-]{1,50}):(.*)$/gm)].flatMap(([, name = '', line = '']) => {
    const command = line.trim();
    return NO_WORKERS.has(name) || command === '' ? [] : [{ name, command }];
  });
}

/** Whether one of the commands is a line of the Procfile for a background process. */
export const startsWorker = async (
  repository: RepositoryView,
  started: readonly (string | undefined)[],
): Promise<boolean> => (await workersOf(repository)).some(({ command }) => started.includes(command));

/**
 * A warning that names the lines of a Procfile which this environment does not run, or none.
 * @param started commands that it may run; if one is such a line, the environment is meant for that line alone
 */
export async function unstartedProcesses(
  repository: RepositoryView,
  started: readonly (string | undefined)[],
): Promise<string[]> {
  const workers = await workersOf(repository);
  const [first] = workers;
  if (first === undefined || (await startsWorker(repository, started))) return [];
  const names = workers.slice(0, MOST_NAMES).map(({ name }) => name);
  const more = workers.length > MOST_NAMES ? ` and ${workers.length - MOST_NAMES} more` : '';
  const slug = Slug.safeParse(first.name.toLowerCase().replaceAll('_', '-')).data ?? 'NAME';
  const command = first.command.length > LONGEST_EXAMPLE ? 'COMMAND' : shellWord(first.command);
  return [
    `orkestr runs one process per environment, so these lines of the Procfile are not run: ${names.join(', ')}${more}. Create an environment for each: orkestr environment create ${slug} --worker --start ${command}`,
  ];
}
