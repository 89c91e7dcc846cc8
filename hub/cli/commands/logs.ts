/** `logs`: the log of a deployment's steps, or with --app of the running app. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { StepName } from '../../../protocol/steps.ts';
import { Deployment } from '../../api/schemas.ts';
import { printAppLog } from '../app-log.ts';
import { apiPath } from '../../api/paths.ts';
import { unreachable } from '../client.ts';
import { action, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fateCode, fateLines, follow } from '../follow.ts';
import { waitingLine } from '../follow-view.ts';
import { listDeployments } from '../latest.ts';
import type { Output } from '../output.ts';
import type { PlaceOptions } from '../place.ts';
import { LogLines } from '../../../protocol/log-lines.ts';
import { safeLine } from '../../../protocol/safe-text.ts';

type Options = PlaceOptions & {
  json?: boolean;
  step?: string;
  follow?: boolean;
  app?: boolean;
  tail?: string;
  since?: string;
  timestamps?: boolean;
};

export const addLogsCommand: AddCommands = (program, context, outcome) => {
  const logs = withPlace(
    leaf(program, 'logs [deployment]', 'Print the log of a deployment (default: the newest), or of the running app.', [
      'orkestr logs',
      'orkestr logs --step build --project shop',
      'orkestr logs 01890000-0000-7000-8000-000000000000 --follow',
      'orkestr logs --app --follow',
      'orkestr logs --app --since 10m --project shop --environment staging',
      '',
      'Of a deployment, it prints the logs of the steps, also if it failed. With --app, it prints the output of the app, read live from its host, which keeps the last 30 MB.',
      'With --json: {"deployment","step","text"}; with --follow one log event per line, `data` in base64.',
      'With --app --json: {"at","deployment","stream","text"}, one line of the app per line.',
      'With --follow, the exit code tells the result of the deployment, like deploy. What it waits for, its result and the reason are printed on stderr.',
    ]),
  )
    .option('-s, --step <name>', `only this step: ${StepName.options.join(', ')}`)
    .option('-f, --follow', 'keep printing until the deployment ends; with --app until Ctrl-C, also across deployments')
    .option('-a, --app', 'the output of the running app')
    .option('-n, --tail <lines>', 'with --app: number of newest lines to start with (default: 100; with --since all)')
    .option('--since <time>', 'with --app: only lines newer than this, such as 30s, 10m, 2h or 1d')
    .option('-t, --timestamps', 'with --app: prefix each line with the time it was written, in UTC');
  action<Options>(logs, context, outcome, (output, options, [given]) => {
    checkOptions(given, options);
    return options.app ? printAppLog(context, output, options) : printDeploymentLog(context, output, options, given);
  });
};

async function printDeploymentLog(
  context: Context,
  output: Output,
  options: Options,
  given: string | undefined,
): Promise<number> {
  const step = options.step === undefined ? undefined : stepName(options.step);
  const latest = given === undefined ? await newest(context, options) : undefined;
  const id = given ?? String(latest?.id);
  if (!options.follow) {
    await printLog(context, output, id, step);
    // No remarks in output for programs.
    const shown = latest ?? (output.json ? undefined : await context.hub().get(apiPath('deployments', id), Deployment));
    if (shown !== undefined) noteWhatOfIt(output, shown);
    if (latest?.status === 'live' && output.live)
      output.note('For the output of the app since then: orkestr logs --app');
    return EXIT.ok;
  }
  const { deployment, ended } = await follow(context, output, id, { logsOnly: true, step });
  if (!ended || !deployment) return EXIT.interrupted;
  noteFate(output, deployment);
  return fateCode(deployment.status);
}

/** @throws OrkestrError ORK_INVALID for conflicting options */
function checkOptions(given: string | undefined, { app, step, tail, since, timestamps }: Options): void {
  if (app && (given !== undefined || step !== undefined)) {
    throw new OrkestrError('ORK_INVALID', 'Name a deployment, or use --app for the log of the running app, not both.');
  }
  if (!app && (tail !== undefined || since !== undefined)) {
    throw new OrkestrError('ORK_INVALID', '--tail and --since only work with --app, the log of the running app.');
  }
  if (!app && timestamps) {
    throw new OrkestrError(
      'ORK_INVALID',
      '--timestamps only works with --app: step logs have no timestamps. To see when each step ran: orkestr deployments show',
    );
  }
}

function stepName(text: string): StepName {
  const step = StepName.safeParse(text);
  if (step.success) return step.data;
  throw new OrkestrError('ORK_INVALID', `There is no step "${text}".`, {
    evidence: [`The steps: ${StepName.options.join(', ')}`],
  });
}

/** Explains why the log ends here. A live deployment's log is complete. */
function noteWhatOfIt(output: Output, deployment: Deployment): void {
  const { status, waitingFor } = deployment;
  if (status === 'queued' || (status === 'running' && waitingFor !== undefined)) output.note(waitingLine(deployment));
  else if (status === 'failed' || status === 'cancelled' || status === 'skipped') noteFate(output, deployment);
}

/** On stderr, since the log may be redirected to a file. */
function noteFate(output: Output, deployment: Deployment): void {
  for (const line of fateLines(output, deployment)) output.note(line);
}

async function newest(context: Context, options: Options): Promise<Deployment> {
  const [found] = await listDeployments(context, options, 1);
  if (found === undefined) throw new OrkestrError('ORK_NOT_FOUND', 'There is no deployment yet.');
  return found;
}

async function printLog(context: Context, output: Output, id: string, step: StepName | undefined): Promise<void> {
  const path = `${apiPath('deployments', id)}/logs`;
  const answer = await context.hub().open({ method: 'GET', path, query: { step }, headers: { accept: 'text/plain' } });
  const print = output.json ? collector(output, id, step) : printer(output);
  try {
    for await (const part of answer.body as AsyncIterable<Buffer>) await print.add(part);
  } catch (error) {
    throw unreachable(context.config.url, error);
  }
  await print.end();
}

interface Sink {
  add(part: Buffer): Promise<void>;
  end(): Promise<void>;
}

/** Unmodified output to a file or pipe; sanitized line by line on a terminal. Waits for a slow reader. */
function printer(output: Output): Sink {
  if (!output.live) return { add: (part) => output.rawWaiting(part), end: async () => undefined };
  const lines = new LogLines();
  const print = (ready: string[]): Promise<void> =>
    output.rawWaiting(ready.map((line) => `${safeLine(line, output.colors)}\n`).join(''));
  return { add: (part) => print(lines.push(part)), end: () => print(lines.end()) };
}

/** One JSON object with the whole text; the agent limits the size of a deployment's log. */
function collector(output: Output, deployment: string, step: StepName | undefined): Sink {
  const parts: Buffer[] = [];
  return {
    add: async (part) => void parts.push(part),
    end: async () => output.object({ deployment, step: step ?? null, text: Buffer.concat(parts).toString('utf8') }),
  };
}
