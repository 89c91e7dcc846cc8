/** `npm run release`: see HELP. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { OrkestrError, toErrorReport, toProblem } from '../../protocol/errors.ts';
import { ReleaseTarget } from '../../protocol/release.ts';
import { ensureEngine, stopEngine } from '../prepare/engine.ts';
import { ROOT } from '../stack/stack.ts';
import { Home } from '../start/home.ts';
import { enginePlan } from '../start/installation.ts';
import { figureLine, fileFigures, idleFigures, isMissed } from './aims.ts';
import { measure } from './measure.ts';
import type { Idle } from './measure.ts';
import { makeRelease } from './release.ts';
import { makeReleaseKey } from './signature.ts';

const HELP = `npm run release -- --key FILE [options]

Makes the archives of a release with everything a host needs (no Node, npm or compiler there), the list of components,
install.sh, SHA256SUMS and its ed25519 signature. The same sources give the same bytes.

  --key FILE       private key (PEM, ed25519) that signs; its public half is put into install.sh
  --next-key FILE  private key that signs the following releases: hosts that run this release trust that key from then on
  --make-key FILE  create such a key and stop
  --target NAME    linux-x64 or linux-arm64; may be given twice (default both)
  --out FOLDER     output folder (default dist/release)
  --url URL        where the release will be published; install.sh downloads from there unless it came from a hub
  --preset 0..9    of xz (default 6)
  --measure        unpack the archive for this machine, run agent and proxy for five minutes beside an engine, and print
                   what they use
  --help

Examples:
  $ npm run release -- --make-key ~/orkestr-release.pem
  $ npm run release -- --key ~/orkestr-release.pem --url https://releases.example.com/orkestr

The last line of its output is one JSON object. Its missedAims lists what is more than is aimed at: 40 MB for an archive,
and 120 MiB and 0.2 % of a core for agent and proxy together on an idle host. A release is made all the same.`;

const say = (text: string): void => void process.stderr.write(`  ${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      key: { type: 'string' },
      'next-key': { type: 'string' },
      'make-key': { type: 'string' },
      target: { type: 'string', multiple: true, default: [...ReleaseTarget.options] },
      out: { type: 'string', default: join(ROOT, 'dist/release') },
      url: { type: 'string', default: '' },
      preset: { type: 'string', default: '6' },
      measure: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const newKey = values['make-key'];
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (newKey !== undefined) {
    makeReleaseKey(resolve(newKey));
    console.log(JSON.stringify({ key: resolve(newKey) }));
    return 0;
  }
  if (values.key === undefined || !existsSync(values.key)) {
    throw new OrkestrError(
      'ORK_CONFIG',
      'A release must be signed: pass the key with --key FILE, or create one with --make-key FILE.',
    );
  }
  const preset = Number(values.preset);
  if (!/^[0-9]$/.test(values.preset)) throw new OrkestrError('ORK_CONFIG', '--preset must be a digit.');
  const out = resolve(values.out);
  const { version, files } = await makeRelease({
    root: ROOT,
    out,
    targets: values.target.map((name) => ReleaseTarget.parse(name)),
    keyFile: resolve(values.key),
    ...(values['next-key'] !== undefined && { nextKeyFile: resolve(values['next-key']) }),
    url: values.url.replace(/\/+$/, ''),
    preset,
    say,
  });
  const sizes = fileFigures(files);
  for (const figure of sizes) say(figureLine(figure));
  const idle = values.measure ? await measureWithEngine(out, version) : undefined;
  const used = idle ? idleFigures(idle) : [];
  for (const figure of used) say(figureLine(figure));
  const missedAims = [...sizes, ...used].filter(isMissed);
  console.log(JSON.stringify({ out, version, files, ...(idle && { idle }), missedAims }));
  return 0;
}

/** Without a running engine, the agent would poll for one, unlike on an idle host. */
async function measureWithEngine(out: string, version: string): Promise<Idle> {
  const home = new Home(join(ROOT, '.orkestr'));
  home.make();
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new OrkestrError('ORK_CANCELLED', 'The measurement was stopped.'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, stop);
  await ensureEngine(enginePlan(home), say);
  try {
    return await measure(out, version, stopped.signal);
  } finally {
    // An `npm start` that runs at the same time shares the engine, and stops it when it ends.
    if (!home.isLocked()) await stopEngine(enginePlan(home));
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const { code, detail, mend, evidence } = toProblem(toErrorReport(error));
  process.stderr.write([`${code}: ${detail}`, ...evidence.map((line) => `  | ${line}`), mend, ''].join('\n'));
  process.exitCode = 1;
}
