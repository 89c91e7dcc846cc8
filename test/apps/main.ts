/**
 * `npm run e2e:apps`: takes each fixture app from `git push` to a response through the proxy, on the real path:
 * detected, built with its generated Dockerfile in the sandbox, started hardened, found healthy. See HELP. The last
 * line of its output is one JSON object.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { OrkestrError } from '../../protocol/errors.ts';
import { PLANNED, planOf } from '../fixtures/plan-of.ts';
import { withEngine } from '../harness/engine.ts';
import { exitCodeOf } from '../harness/script.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';
import { BUILT, PLANNED_ONLY } from './apps.ts';
import { kindsOf } from './kinds.ts';
import { makeRegistries } from './registries.ts';
import { tryApp } from './try-app.ts';
import type { Outcome } from './try-app.ts';

const HELP = `npm run e2e:apps [-- options]

Pushes every fixture app of test/fixtures/apps to an installation of its own, and asks it over HTTP once it is live. Apps
whose toolchain is only available from a foreign registry are only planned: "built" is null, and "reason" says why.

  --only A,B   only these
  --node LINE  apps of Node.js on that line (24, 22) instead of what each asks for
  --keep       leave the apps running until Ctrl-C, and print their addresses
  --json       print only the last line

Needs root, the npm registry and Debian's packages. Exits 1 when an app was not built or did not answer. The base images
that it builds stay on the machine.`;

interface Options {
  readonly only: readonly string[];
  readonly node: string | undefined;
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      node: { type: 'string' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const only = values.only?.split(',') ?? PLANNED;
  const unknown = only.find((name) => BUILT[name] === undefined && PLANNED_ONLY[name] === undefined);
  if (unknown !== undefined) {
    console.error(`There is no fixture app "${unknown}" in test/apps/apps.ts.`);
    return 1;
  }
  const say = (line: string): void => (values.json ? undefined : console.log(line));
  const outcomes = await tryAll({ only, node: values.node, keep: values.keep, say });
  console.log(JSON.stringify({ apps: outcomes }));
  const right = outcomes.filter(({ built, answered }) => built !== false && answered !== false);
  return right.length === only.length ? 0 : 1;
}

async function tryAll(options: Options): Promise<Outcome[]> {
  const { only, say } = options;
  const planned = await Promise.all(only.filter((name) => BUILT[name] === undefined).map(planOnly));
  const names = only.filter((name) => BUILT[name] !== undefined);
  if (names.length === 0) return planned;
  const kinds = await kindsOf(names, options.node);
  const folder = mkdtempSync(join(tmpdir(), 'ork-apps-'));
  try {
    const built = await withEngine({ kinds, say }, async () =>
      buildAll(names, await makeRegistries(folder, kinds, say), options),
    );
    return [...planned, ...built];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function buildAll(names: readonly string[], baseImages: string, options: Options): Promise<Outcome[]> {
  const { keep, say } = options;
  const interrupted = stopAsked();
  const stack = await startStack({ env: { agent: { ORKESTR_BASE_IMAGES: baseImages } } });
  try {
    const outcomes: Outcome[] = [];
    for (const name of names) {
      if (interrupted.aborted) break;
      outcomes.push(await tryOne(stack, name, options));
    }
    if (keep && !interrupted.aborted) {
      for (const name of names) {
        const [newest] = await stack.deployments(name);
        say(`${name}: ${newest?.urls.join(' ') ?? 'not there'}`);
      }
      say('Ctrl-C takes everything away.');
      await once(interrupted, 'abort');
    }
    return outcomes;
  } finally {
    await stack.stop();
  }
}

async function tryOne(stack: Stack, name: string, { node, keep, say }: Options): Promise<Outcome> {
  const app = BUILT[name];
  if (app === undefined) throw new Error(`${name} is not built`);
  const outcome = await tryApp(stack, name, app, { node, keep }).catch((error: unknown) => ({
    name,
    detected: '',
    built: false,
    answered: false,
    ms: 0,
    reason: [String(error), ...(error instanceof OrkestrError ? error.evidence : [])].join('\n'),
  }));
  const right = outcome.built === true && outcome.answered === true;
  say(`${right ? '✓' : '✗'} ${name.padEnd(22)} ${outcome.detected.padEnd(18)} ${(outcome.ms / 1000).toFixed(1)} s`);
  for (const line of outcome.reason?.split('\n') ?? []) say(`    ${line}`);
  return outcome;
}

async function planOnly(name: string): Promise<Outcome> {
  const { framework } = await planOf(name);
  return { name, detected: framework, built: null, answered: null, ms: 0, reason: PLANNED_ONLY[name] ?? '' };
}

/** Aborted by the first SIGINT or SIGTERM: the current app is finished, and everything is removed. */
function stopAsked(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

process.exitCode = await exitCodeOf(main);
