import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Import, importsOf, isTest, sourceFiles } from './sources.ts';

/** Processes whose folders have an order. Type imports count, because they are dependencies, too. */
const PROCESSES = ['hub', 'agent', 'proxy'];

/** The imports of one folder from another. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly imports: Import[];
}

test('the folders of a process import each other in one direction', () => {
  const wrong = PROCESSES.flatMap((process) => backwards(edgesOf(process)));
  assert.deepEqual(
    wrong.map(({ from, to, imports }) => [`${from} -> ${to}`, ...imports.map((one) => `${one.from} -> ${one.to}`)]),
    [],
  );
});

function edgesOf(process: string): Edge[] {
  const edges = new Map<string, Edge>();
  const files = sourceFiles().filter((file) => file.startsWith(`${process}/`) && !isTest(file));
  for (const found of files.flatMap(importsOf)) {
    const [from, to] = [folderOf(found.from), folderOf(found.to)];
    if (!found.ours || !found.to.startsWith(`${process}/`) || from === to) continue;
    const key = `${from} ${to}`;
    const edge = edges.get(key) ?? { from, to, imports: [] };
    edge.imports.push(found);
    edges.set(key, edge);
  }
  return [...edges.values()];
}

/** `hub/git` for `hub/git/push.ts`. A file beside the folders counts as a folder of its own. */
const folderOf = (file: string): string => file.split('/').slice(0, 2).join('/');

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
