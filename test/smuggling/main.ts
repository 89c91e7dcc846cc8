/** `npm run test:smuggling`: hostile messages through the proxy to real upstreams, requests counted on both sides. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { EngineName } from '../harness/edge-process.ts';
import { exitCodeOf, WrongCall } from '../harness/script.ts';
import { readCorpus } from './corpus.ts';
import { runSuite } from './suite.ts';
import { UPSTREAMS } from './upstreams/index.ts';

const HELP = `npm run test:smuggling -- [options]
  --corpus DIR       folder of raw requests, one per file (default test/smuggling/corpus)
  --upstreams A,B    some of: ${UPSTREAMS.map(({ name }) => name).join(' ')} (default all)
  --engines A,B      some of: fast http-proxy (default both)
  --at-once N        pairs of upstream and engine at the same time (default 5)
Prints each mismatch as a line of JSON, and last {"upstreams","messages","mismatches"}.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      corpus: { type: 'string', default: join(import.meta.dirname, 'corpus') },
      upstreams: { type: 'string', default: UPSTREAMS.map(({ name }) => name).join() },
      engines: { type: 'string', default: 'fast,http-proxy' },
      'at-once': { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const messages = readCorpus(values.corpus);
  const upstreams = values.upstreams.split(',').map(upstreamNamed);
  const engines = values.engines.split(',').map(engineNamed);
  const atOnce = Math.max(1, Math.trunc(Number(values['at-once'])) || 1);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  const { signal } = stop;
  const { forwarded, mismatches } = await runSuite({ messages, upstreams, engines, atOnce, say: console.log, signal });
  console.log(
    JSON.stringify({
      upstreams: upstreams.length,
      messages: messages.length,
      mismatches: mismatches.length,
      engines,
      forwarded,
    }),
  );
  return mismatches.length === 0 ? 0 : 1;
}

function upstreamNamed(name: string): (typeof UPSTREAMS)[number] {
  const found = UPSTREAMS.find((kind) => kind.name === name);
  if (!found) throw new WrongCall(`No upstream is called ${name}.`);
  return found;
}

function engineNamed(name: string): EngineName {
  if (name === 'fast' || name === 'http-proxy') return name;
  throw new WrongCall(`No engine is called ${name}.`);
}

process.exitCode = await exitCodeOf(main);
