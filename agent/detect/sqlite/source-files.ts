/** Source files that may import a library: a bounded walk, nearest files first. */
import type { RepositoryView } from '../repository.ts';
import { lineOf } from './lines.ts';

const MAX_DEPTH = 4;
const MAX_FOLDERS = 40;
const MAX_FILES = 150;
/** Enough of a file for its imports. */
const HEAD_BYTES = 8192;
/** Folders whose files production does not run. */
const IGNORED =
  /^(?:\..*|node_modules|vendor|dist|build|out|coverage|docs?|examples?|scripts?|tests?|__tests__|testdata|e2e|spec|cypress|mocks?|fixtures?)\/$/i;

/** Imports that were looked for. */
interface Imports {
  /** "internal/db/db.go line 7"; null if production has none in the files that were looked at. */
  readonly used: string | null;
  /** A test has one, or a file whose database is in memory. */
  readonly isPassing: boolean;
}

type Kind = 'app' | 'test';
/** By a file's name, whether it is of the app or one of its tests; null for all others. */
type KindOf = (name: string) => Kind | null;

export async function importsOf(app: RepositoryView, kindOf: KindOf, pattern: RegExp): Promise<Imports> {
  let isPassing = false;
  let files = 0;
  for await (const { path, kind } of sourceFiles(app, kindOf)) {
    files += 1;
    const head = (await app.head(path, HEAD_BYTES)) ?? '';
    const line = lineOf(head, pattern);
    if (line !== null && kind === 'app' && !head.includes(':memory:'))
      return { used: `${path} line ${line}`, isPassing };
    isPassing ||= line !== null;
    if (files === MAX_FILES) break;
  }
  return { used: null, isPassing };
}

async function* sourceFiles(app: RepositoryView, kindOf: KindOf): AsyncGenerator<{ path: string; kind: Kind }> {
  let level = [''];
  let folders = 0;
  for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
    const below: string[] = [];
    for (const folder of level.slice(0, MAX_FOLDERS - folders)) {
      folders += 1;
      for (const name of await app.entries(folder === '' ? '.' : folder.slice(0, -1))) {
        const kind = kindOf(name);
        if (kind !== null) yield { path: `${folder}${name}`, kind };
        else if (name.endsWith('/') && !IGNORED.test(name)) below.push(`${folder}${name}`);
      }
    }
    level = below;
  }
}
