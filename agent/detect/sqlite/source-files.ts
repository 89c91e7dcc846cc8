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

/** @param kind by a file's name, whether it is of the app or one of its tests; null for all others */
export async function importsOf(
  app: RepositoryView,
  kind: (name: string) => 'app' | 'test' | null,
  pattern: RegExp,
): Promise<Imports> {
  const folders: { readonly path: string; readonly depth: number }[] = [{ path: '', depth: 0 }];
  let files = 0;
  let isPassing = false;
  for (let at = 0; at < folders.length && at < MAX_FOLDERS; at += 1) {
    const { path = '', depth = 0 } = folders[at] ?? {};
    for (const name of await app.entries(path === '' ? '.' : path)) {
      if (name.endsWith('/')) {
        if (depth < MAX_DEPTH && !IGNORED.test(name)) folders.push({ path: `${path}${name}`, depth: depth + 1 });
        continue;
      }
      const of = kind(name);
      if (of === null || files === MAX_FILES) continue;
      files += 1;
      const head = (await app.head(`${path}${name}`, HEAD_BYTES)) ?? '';
      const line = lineOf(head, pattern);
      if (line === null) continue;
      if (of === 'app' && !head.includes(':memory:')) return { used: `${path}${name} line ${line}`, isPassing };
      isPassing = true;
    }
  }
  return { used: null, isPassing };
}
