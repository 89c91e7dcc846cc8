/** `npm start`: from a prepared machine to a running installation with a deployed sample app. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { makeProgress } from '../prepare/progress.mjs';
import { ROOT } from '../stack/stack.ts';
import { deployTwice, resume } from './demonstration.ts';
import type { Report } from './demonstration.ts';
import { Home } from './home.ts';
import { install } from './installation.ts';
import type { Context, Installation } from './installation.ts';
import { LiveView } from './live-view.ts';
import { HELP, readMode } from './options.ts';
import { reset } from './reset.ts';
import { Sample } from './sample.ts';
import { Teardown } from './teardown.ts';
import { Watch } from './watch.ts';

/** How often the block at the bottom is redrawn, ms. */
const REFRESH_MS = 1000;
/** How often to check that the parent process is still there, ms. */
const PARENT_CHECK_MS = 1000;

async function main(argv: readonly string[]): Promise<number> {
  const mode = readMode(argv);
  if (mode === 'help') {
    console.log(HELP);
    return 0;
  }
  const home = new Home(`${ROOT}/.orkestr`);
  home.make();
  const unlock = home.lock();
  const view = new LiveView(process.stdout);
  const tell = (line: string): void => view.line(line);
  const teardown = new Teardown((name, error) => tell(`${name} could not be stopped: ${String(error)}`));
  const context: Context = {
    home,
    progress: makeProgress({ write: (text) => view.line(text.replace(/\n$/, '')) }),
    teardown,
    signal: interruption(tell),
    tell,
  };
  try {
    if (mode === 'reset') return await reset(context);
    return mode === 'once' ? await runOnce(context) : await stay(context, view);
  } finally {
    view.block([]);
    unlock();
    // --reset removes the folder itself, too.
    if (mode === 'reset') rmSync(home.folder, { recursive: true, force: true });
  }
}

/** Runs everything, then prints one JSON object as the last line. */
async function runOnce(context: Context): Promise<number> {
  let report: Report | undefined;
  let failure: ErrorReport | undefined;
  try {
    const installation = await install(context);
    report = await withSample(context, installation, ({ show }) => deployTwice(show));
  } catch (error) {
    failure = explain(error, context.tell);
  }
  const whole = await stopAll(context);
  if (!whole) failure ??= { code: 'ORK_INTERNAL', message: 'Not everything could be stopped.', evidence: [] };
  console.log(JSON.stringify(failure || !report ? failed(failure) : succeeded(report)));
  return failure ? exitCode(failure) : 0;
}

/** Runs everything, then shows the live view until Ctrl-C. */
async function stay(context: Context, view: LiveView): Promise<number> {
  let failure: ErrorReport | undefined;
  try {
    const installation = await install(context);
    await withSample(context, installation, async ({ show, sample }) => {
      await resume(show);
      printAddresses(context, installation, sample);
      await liveUntilInterrupted(context, installation, sample, view);
    });
  } catch (error) {
    failure = explain(error, context.tell);
  }
  view.block([]);
  const whole = await stopAll(context);
  if (failure) return exitCode(failure);
  return whole ? 0 : 1;
}

type Show = Parameters<typeof deployTwice>[0];

async function withSample<T>(
  context: Context,
  installation: Installation,
  work: (parts: { show: Show; sample: Sample }) => Promise<T>,
): Promise<T> {
  const { client, credentials } = installation;
  const sample = await context.progress.stage('sample project', () =>
    Sample.open(context.home, client, credentials.token),
  );
  const watch = new Watch(client, context.tell);
  await watch.start();
  const stopWatch = (): Promise<void> => watch.stop();
  context.teardown.add('watch', stopWatch);
  context.signal.addEventListener('abort', () => void stopWatch(), { once: true });
  return work({ show: { sample, watch, installation, signal: context.signal, tell: context.tell }, sample });
}

function printAddresses(context: Context, installation: Installation, sample: Sample): void {
  for (const line of [
    '',
    `console  ${installation.hubUrl}`,
    `         log in with the token in ${context.home.path('credentials.json')}`,
    `app      ${sample.url}`,
    `         without a browser: curl -H 'Host: ${sample.hostName}' ${installation.proxyUrl}`,
    `deploy   cd ${context.home.path('sample')}, change something, commit, git push orkestr main`,
    'Ctrl-C stops everything that was started here.',
    '',
  ]) {
    context.tell(line);
  }
}

async function liveUntilInterrupted(
  { signal }: Context,
  installation: Installation,
  sample: Sample,
  view: LiveView,
): Promise<void> {
  const draw = (): void => {
    const states = installation.processes.map(({ name, running }) => `${name} ${running ? 'up' : 'DOWN'}`);
    view.block([`console ${installation.hubUrl} · app ${sample.url}`, `${states.join(' · ')} · Ctrl-C stops`]);
  };
  draw();
  const timer = setInterval(draw, REFRESH_MS);
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(timer);
}

async function stopAll({ teardown, progress }: Context): Promise<boolean> {
  return progress.stage('stop', () => teardown.run());
}

/**
 * Aborts on the first signal, or when the parent or the reader of the output is gone. Stopping is bounded, so later
 * signals change nothing.
 */
function interruption(tell: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) return;
    tell('Stopping …');
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  // The terminal or pipe was closed: nobody reads any more, but what was started must still be stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', stop);
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), PARENT_CHECK_MS).unref();
  return controller.signal;
}

function explain(error: unknown, tell: (line: string) => void): ErrorReport {
  const report = toErrorReport(error);
  for (const line of report.evidence) tell(`  | ${line}`);
  tell(`${report.code}: ${report.message}`);
  if (error instanceof OrkestrError) tell(`  ${error.kind.mend}`);
  else if (error instanceof Error && error.stack) tell(error.stack);
  return report;
}

const succeeded = ({ deployments, load }: Report): unknown => ({
  ok: true,
  deployments: deployments.map(({ id, status, commit, ms }) => ({ id, status, commit, ms })),
  requests: load.requests,
  failedRequests: load.failed,
});

const failed = (failure: ErrorReport | undefined): unknown => ({
  ok: false,
  error: { code: failure?.code ?? 'ORK_INTERNAL', message: failure?.message ?? 'There is no result.' },
});

const exitCode = ({ code }: ErrorReport): number => (code === 'ORK_CANCELLED' ? 130 : 1);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const report = explain(error, (line) => console.error(line));
  if (process.argv.includes('--once')) console.log(JSON.stringify(failed(report)));
  process.exitCode = 1;
}
