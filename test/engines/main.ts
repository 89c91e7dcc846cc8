/**
 * `npm run test:engines`: the tests that need an engine, against engines that this machine's distribution lacks. Each
 * runs in its own namespaces, which end with their first process: nothing but the tree stays on the machine.
 */
import { parseArgs } from 'node:util';
import { withEngine } from '../harness/engine.ts';
import { exitCodeOf } from '../harness/script.ts';
import { testFiles } from '../runner/test-files.ts';
import { STORES } from './plan.ts';
import { runInEngines } from './run.ts';
import { SUITES } from './tree.ts';

const HELP = `npm run test:engines [-- OPTIONS] [TEXT …]

Runs test files with the Docker Engine of a newer Debian, with each of its image stores. There is no network: the test
of a build that reaches the npm registry is left out.

  --suite NAME   ${SUITES.join(' or ')}; may be given twice (default both)
  --store NAME   ${STORES.join(' or ')}; may be given twice (default both)
  TEXT           test files whose path contains it (default: those of the agent that use an engine, and
                 test/e2e/environment.test.ts)
  --help

Examples:
  npm run test:engines                                          # about half an hour
  npm run test:engines -- --suite sid --store containerd transfer

The last line is {"engines":[{"suite","store","version","passed","failed"}]}. Exits 1 when a test failed.`;

const FILES = [
  'agent/docker/',
  'agent/sandbox/build/build-inputs',
  'agent/sandbox/build/builder',
  'agent/sandbox/session/context-sync',
  'agent/sandbox/supply/registry-images',
  'agent/sandbox/sandbox.',
  'agent/sandbox/handoff/transfer',
  'agent/registry/registry',
  'test/e2e/environment',
];
/** Base images that those tests start from. */
const KINDS = ['debian', 'node', 'static'] as const;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      suite: { type: 'string', multiple: true, default: [...SUITES] },
      store: { type: 'string', multiple: true, default: [...STORES] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const suites = SUITES.filter((suite) => values.suite.includes(suite));
  const stores = STORES.filter((store) => values.store.includes(store));
  const words = positionals.length > 0 ? positionals : FILES;
  const files = testFiles(['{agent,test}/**/*.test.ts']).filter((file) => words.some((word) => file.includes(word)));
  if (suites.length === 0 || stores.length === 0 || files.length === 0) {
    console.error(`There is nothing to run.\n\n${HELP}`);
    return 1;
  }
  const choice = { suites, stores, files, kinds: KINDS };
  const outcomes = await withEngine({ kinds: KINDS, say }, () => runInEngines(choice, say));
  console.log(JSON.stringify({ engines: outcomes }));
  return outcomes.every(({ passed, failed }) => failed === 0 && passed > 0) ? 0 : 1;
}

process.exitCode = await exitCodeOf(main);
