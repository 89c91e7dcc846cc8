/**
 * `orkestr-agent logs --app`: an app's output, without hub and without a running agent. Docker keeps the output, the
 * journal the app's name.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { AppLogText } from '../../protocol/app-log-text.ts';
import { defaultTail, secondsAgo } from '../../protocol/app-log.ts';
import type { AppLogLine } from '../../protocol/app-log.ts';
import { safeLine } from '../../protocol/safe-text.ts';
import { jobOf } from '../journal/job-of.ts';
import type { Serving } from '../journal/serving.ts';
import { liveEnvironment } from '../status/live-environment.ts';
import type { AppLogs } from './app-logs.ts';

export interface AppLogCommand {
  readonly serving: Serving;
  readonly appLogs: AppLogs;
  /** A terminal gets safe lines; a file or pipe gets the app's output unchanged. */
  readonly out: Writable & { readonly isTTY?: boolean };
  /** Ends the output, as Ctrl-C does. */
  readonly signal: AbortSignal;
}

export interface AppLogFlags {
  /** `project/environment`, or the id of an environment. */
  readonly app: string;
  readonly tail?: number | undefined;
  readonly since?: string | undefined;
  readonly follow?: boolean | undefined;
  readonly timestamps?: boolean | undefined;
}

/** @throws OrkestrError ORK_NOT_FOUND, listing the live apps; and the errors of the read */
export async function printAppLog({ serving, appLogs, out, signal }: AppLogCommand, flags: AppLogFlags): Promise<void> {
  const { since, tail = defaultTail(since), follow = false, timestamps = false } = flags;
  const read = appLogs.open({
    environmentId: liveEnvironment(serving, flags.app),
    tail,
    sinceSeconds: since === undefined ? null : secondsAgo(since),
    follow,
    after: [],
  });
  signal.addEventListener('abort', () => read.close(), { once: true });
  const text = new AppLogText({ timestamps });
  let shown: string | null = null;
  for (let part = await read.next(); part !== null; part = await read.next()) {
    const { deploymentId: deployment, leftOut } = part;
    const lines: string[] = [];
    if (deployment !== shown) {
      lines.push(...text.linesOf({ kind: 'version', deployment, commit: commitOf(serving, deployment) }));
    }
    shown = deployment;
    if (leftOut > 0) lines.push(...text.linesOf({ kind: 'left-out', lines: leftOut }));
    lines.push(...text.linesOf({ kind: 'lines', lines: out.isTTY === true ? part.lines.map(safe) : part.lines }));
    if (lines.length === 0 || out.write(`${lines.join('\n')}\n`)) continue;
    await once(out, 'drain', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

const safe = (line: AppLogLine): AppLogLine => ({ ...line, text: safeLine(line.text, true) });

function commitOf(serving: Serving, deploymentId: string): string | null {
  const job = jobOf(serving, deploymentId);
  return job === null || job.kind === 'remove' ? null : job.commit;
}
