/** `npm run e2e:secrets`: see HELP. The last line of its output is JSON. */
import { parseArgs } from 'node:util';
import { withEngine } from '../harness/engine.ts';
import { interrupted } from '../harness/interrupted.ts';
import { exitCodeOf } from '../harness/script.ts';
import { Trial } from './trial.ts';

const HELP = `npm run e2e:secrets

Gives a whole installation forty secrets: variables, build secrets, registry passwords, git tokens and API tokens, short and
long, with newlines, JSON, URL characters and unicode. It deploys apps whose builds say them aloud, and then searches logs,
databases, API answers, image layers and history, files of the build engine and arguments of programs for each of them.
Needs root. The last line: {"canaries":40,"places":N,"hits":0}. Exit code 1 when one was found.`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean', default: false } } });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  return withEngine({ kinds: ['node'], say: (text) => console.log(`  ${text}`) }, tryAll);
}

async function tryAll(): Promise<number> {
  const trial = await Trial.start();
  try {
    await Promise.race([trial.run(), interrupted()]);
    const { places, hits } = await trial.find();
    for (const { canary, place } of hits) console.log(`FOUND: ${canary} in ${place}`);
    console.log(JSON.stringify({ canaries: trial.canaries.length, places, hits: hits.length }));
    return hits.length === 0 ? 0 : 1;
  } finally {
    await trial.stop();
  }
}

process.exitCode = await exitCodeOf(main);
