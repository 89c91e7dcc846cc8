import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Import, importsOf, isTest, sourceFiles } from './sources.ts';

/** Folders whose own folders have an order. Type imports count, because they are dependencies, too. */
const LAYERED = ['hub', 'agent', 'agent/sandbox', 'proxy'];

/** The imports of one folder from another. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly imports: Import[];
}

test('the folders of a process, and those of the sandbox, import each other in one direction', () => {
  const wrong = LAYERED.flatMap((parent) => backwards(edgesOf(parent)));
  assert.deepEqual(
    wrong.map(({ from, to, imports }) => [`${from} -> ${to}`, ...imports.map((one) => `${one.from} -> ${one.to}`)]),
    [],
  );
});

function edgesOf(parent: string): Edge[] {
  const edges = new Map<string, Edge>();
  const files = sourceFiles().filter((file) => file.startsWith(`${parent}/`) && !isTest(file));
  for (const found of files.flatMap(importsOf)) {
    if (!found.ours || !found.to.startsWith(`${parent}/`)) continue;
    const [from, to] = [folderOf(found.from, parent), folderOf(found.to, parent)];
    if (from === to) continue;
    const key = `${from} ${to}`;
    const edge = edges.get(key) ?? { from, to, imports: [] };
    edge.imports.push(found);
    edges.set(key, edge);
  }
  return [...edges.values()];
}

/** `hub/git` for `hub/git/push.ts` below `hub`. A file beside the folders counts as a folder of its own. */
const folderOf = (file: string, parent: string): string =>
  file
    .split('/')
    .slice(0, parent.split('/').length + 1)
    .join('/');

/** Edges to remove for a graph without cycles: of each cycle, the edge with the fewest imports. */
function backwards(edges: readonly Edge[]): Edge[] {
  const [shortest] = edges
    .map((edge) => cycleOver(edge, edges))
    .filter((cycle) => cycle !== undefined)
    .toSorted((a, b) => a.length - b.length);
  const thinnest = shortest?.toSorted((a, b) => a.imports.length - b.imports.length)[0];
  if (thinnest === undefined) return [];
  return [thinnest, ...backwards(edges.filter((edge) => edge !== thinnest))];
}

/** The edge and the shortest way back to its start; undefined if there is none. */
function cycleOver(edge: Edge, edges: readonly Edge[]): Edge[] | undefined {
  const ways: Edge[][] = [[edge]];
  const seen = new Set<string>();
  for (const way of ways) {
    const at = way.at(-1)?.to;
    if (at === edge.from) return way;
    if (at === undefined || seen.has(at)) continue;
    seen.add(at);
    for (const next of edges.filter(({ from }) => from === at)) ways.push([...way, next]);
  }
  return undefined;
}
