import assert from 'node:assert/strict';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { readSource, sourceFiles } from './sources.ts';

const DECLARED =
  /^export (?:async )?(?:abstract )?(?:function\*?|class|const|let|interface|type)\s+([\w$]+)|^export (?:type )?\{([^}]*)\}/gm;
const TAKEN = /^(?:import|export)\s+(?:type\s+)?(?:[\w$]+,\s*)?(?:\{([^}]*)\}|[^'"{;]*?)\s*from\s+'(\.[^']+)'/gm;
/** Imports of a whole file, or of one type; files loaded in a page or a container are called by name there. */
const LOADED = /\bimport\(\s*'(\.[^']+)'\s*\)(?:\.(\w+))?/g;
const ALL = '*';

/** Names in `a, type b as c`: before or after the `as`. */
const namesIn = (list: string, side: 'first' | 'last'): string[] =>
  list
    .split(',')
    .map((item) =>
      item
        .trim()
        .replace(/^type /, '')
        .split(' as '),
    )
    .map((names) => (side === 'first' ? names[0] : names.at(-1)) ?? '')
    .filter(Boolean);

/** Which names of each file other files import. */
function takenNames(files: readonly string[]): Map<string, Set<string>> {
  const taken = new Map<string, Set<string>>();
  const take = (from: string, to: string, names: readonly string[]): void => {
    const file = normalize(join(dirname(from), to));
    taken.set(file, new Set([...(taken.get(file) ?? []), ...names]));
  };
  for (const file of files) {
    const text = readSource(file);
    for (const [, list, to] of text.matchAll(TAKEN)) take(file, to ?? '', list ? namesIn(list, 'first') : [ALL]);
    for (const [, to, name] of text.matchAll(LOADED)) take(file, to ?? '', [name ?? ALL]);
  }
  return taken;
}

test('every export is used by another file', () => {
  const files = sourceFiles().filter((file) => !file.endsWith('.mjs'));
  const taken = takenNames(files);
  const idle = files.flatMap((file) => {
    const names = [...readSource(file).matchAll(DECLARED)].flatMap(([, name, list]) =>
      name === undefined ? namesIn(list ?? '', 'last') : [name],
    );
    const used = taken.get(file) ?? new Set();
    return used.has(ALL) ? [] : names.filter((name) => !used.has(name)).map((name) => `${file}: ${name}`);
  });
  assert.deepEqual(idle, []);
});
