/** Measures the time and memory of an analysis on a tree of 100,000 files. The last line is JSON. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { planBuild } from '../../agent/detect/index.ts';
import { ReadingBudget } from '../../agent/detect/repository.ts';

const FILES = 100_000;
/** Members of a workspace; an analysis looks at no more than this. */
const FOLDERS = 200;
const RUNS = 20;

const checkout = mkdtempSync(join(tmpdir(), 'orkestr-analyze-'));
try {
  for (let folder = 0; folder < FOLDERS; folder += 1) {
    const path = join(checkout, 'packages', `p${folder}`);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'package.json'), JSON.stringify({ name: `p${folder}` }));
    for (let file = 1; file < FILES / FOLDERS; file += 1) writeFileSync(join(path, `f${file}.js`), '');
  }
  const start = { name: 'app', scripts: { start: 'node a.js' }, dependencies: { express: '5' } };
  writeFileSync(join(checkout, 'packages', 'p7', 'package.json'), JSON.stringify(start));
  writeFileSync(join(checkout, 'package.json'), JSON.stringify({ workspaces: ['packages/*'] }));
  const times: number[] = [];
  let budget = new ReadingBudget();
  for (let run = 0; run < RUNS; run += 1) {
    budget = new ReadingBudget();
    const began = performance.now();
    await planBuild({
      checkout,
      rootDirectory: '.',
      settings: {},
      surroundings: { baseImages: BaseImages.parse({}), isMadeHere: async () => false, cacheScope: 'bench' },
      budget,
    });
    times.push(performance.now() - began);
  }
  const sorted = times.toSorted((a, b) => a - b).map(Math.round);
  const mebibytes = Math.round(process.memoryUsage().rss / 1_048_576);
  const result = { files: FILES, first: Math.round(times[0] ?? 0), median: sorted[RUNS / 2], worst: sorted.at(-1) };
  process.stdout.write(
    `${JSON.stringify({ ...result, looks: budget.looks, bytes: budget.bytes, rssMiB: mebibytes })}\n`,
  );
} finally {
  rmSync(checkout, { recursive: true });
}
