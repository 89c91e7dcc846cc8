/** Django: the engine of its database, in the settings that serve the app. */
import { DJANGO, djangoProject, djangoSettings } from '../python/django.ts';
import { present } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { linesOf } from './lines.ts';

const MANIFESTS = ['manage.py', 'requirements.txt', 'pyproject.toml', 'Pipfile'];

/** `'ENGINE': 'django.db.backends.sqlite3'`, or the default of a URL: `default='sqlite:///db.sqlite3'`. */
const ENGINE = /^[^#]*(?:["']ENGINE["']\]?\s*[:=].*["'][\w.]*(?:sqlite3|spatialite)["']|["']sqlite:\/\/\/(?!:memory:))/;
/** A database as a whole, rather than one option of it. */
const DATABASE = /^[ \t]*DATABASES(?:\[["']default["']\])?[ \t]*(?::[^=\n]{1,100})?=/m;

export async function djangoFile(app: RepositoryView): Promise<string | null> {
  if ((await present(app, MANIFESTS)).length === 0) return null;
  const project = await djangoProject(app, { names: new Set([DJANGO.package]) });
  const settings = project === null ? null : await djangoSettings(project);
  // Settings for production often import those that all share, and set the database again.
  const file = settings?.files.find(({ text }) => DATABASE.test(text));
  if (file === undefined) return null;
  const lines = linesOf(file.text);
  const named = lines.flatMap((line, at) => (ENGINE.test(line) ? [at] : [])).slice(0, MAX_NAMED);
  const at = named.find((index) => !isForDevelopment(lines, index));
  return at === undefined ? null : `${file.path} line ${at + 1} names SQLite`;
}

const DEVELOPMENT = /(?:\b|_)(?:DEBUG|TEST(?:ING|S)?|DEV(?:ELOPMENT)?|LOCAL)\b/i;
const PRODUCTION = /(?:\b|_)PROD(?:UCTION)?\b/i;

/** Lines above one that are looked at for its branches, and lines that name SQLite: a file may have any number. */
const MAX_ABOVE = 500;
const MAX_NAMED = 10;

/** Whether a line is in a branch that only development or tests take: of `if DEBUG:`, or the other of `if not DEBUG:`. */
function isForDevelopment(lines: readonly string[], at: number): boolean {
  const indentOf = (line: string): number => line.length - line.trimStart().length;
  let indent = indentOf(lines[at] ?? '');
  let isElse = false;
  for (const line of lines.slice(Math.max(0, at - MAX_ABOVE), at).toReversed()) {
    const here = indentOf(line);
    const isOfElse = isElse && here === indent;
    if (line === '' || (here >= indent && !isOfElse)) continue;
    indent = here;
    const [, word, condition = ''] = /^\s*(if|elif|else)\b(.*)/.exec(line) ?? [];
    if (!isOfElse) isElse = word === 'else';
    else if (word !== 'if') continue;
    if (word !== undefined && word !== 'else' && holdsInDevelopment(condition) === !isOfElse) return true;
    if (isOfElse) isElse = false;
  }
  return false;
}

/** Whether a condition holds in development and not in production; null if it does not say. */
function holdsInDevelopment(condition: string): boolean | null {
  const isNegated = /^\s*not\b|!=/.test(condition);
  if (DEVELOPMENT.test(condition)) return !isNegated;
  return PRODUCTION.test(condition) ? isNegated : null;
}
