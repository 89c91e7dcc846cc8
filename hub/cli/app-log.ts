/** Prints the log of an environment's app. */
import { OrkestrError } from '../../protocol/errors.ts';
import { AppLogEvent } from '../api/schemas.ts';
import type { Context } from './context.ts';
import { followEvents, readEvent } from './events.ts';
import type { Followed } from './events.ts';
import { EXIT } from './exit.ts';
import { integer } from './input.ts';
import type { Output } from './output.ts';
import { environmentPath } from './place.ts';
import type { PlaceOptions } from './place.ts';
import { AppLogText } from '../../protocol/app-log-text.ts';
import { safeLine } from '../../protocol/safe-text.ts';

interface AppLogOptions extends PlaceOptions {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

/**
 * Prints the log to its end, or with `follow` until Ctrl-C. Reconnects after a lost connection and resumes where it
 * was.
 */
export async function printAppLog(context: Context, output: Output, options: AppLogOptions): Promise<number> {
  const { follow = false, since } = options;
  const followed: Followed<AppLogEvent> = {
    path: await environmentPath(context, options, 'app-log'),
    query: {
      follow: String(follow),
      tail: options.tail === undefined ? undefined : integer(options.tail, '--tail'),
      since,
    },
    read: readOrThrow,
    isEnd: ({ kind }) => kind === 'end',
    isNews: ({ kind }) => kind === 'lines',
  };
  const over = new AbortController();
  const forget = context.onInterrupt(() => over.abort());
  const print = output.json ? printObjects(output) : printText(output, options.timestamps === true);
  let away = false;
  try {
    const events = followEvents(context.hub(), followed, {
      signal: over.signal,
      ...(!follow && { waits: [] }),
      onReconnect(error) {
        if (!away) output.note(`${error.message} Trying again …`);
        away = true;
      },
    });
    for await (const event of events) {
      away = false;
      await print(event);
    }
  } finally {
    forget();
  }
  return over.signal.aborted ? EXIT.interrupted : EXIT.ok;
}

/** An end event with an error is a failure, not the end of the log. */
function readOrThrow(data: string): AppLogEvent {
  const event = readEvent(AppLogEvent, data);
  if (event.kind !== 'end' || event.error === null) return event;
  throw new OrkestrError(event.error.code, event.error.message, event.error);
}

type Print = (event: AppLogEvent) => Promise<void>;

/** Unmodified output to a file or pipe; sanitized line by line on a terminal. Waits for a slow reader. */
function printText(output: Output, timestamps: boolean): Print {
  const text = new AppLogText({ timestamps });
  return (event) => {
    const lines = text.linesOf(event).map((line) => `${output.live ? safeLine(line, output.colors) : line}\n`);
    return output.rawWaiting(lines.join(''));
  };
}

/** One object per line. */
function printObjects(output: Output): Print {
  return async (event) => {
    const objects = objectsOf(event);
    await output.rawWaiting(objects.map((one) => `${JSON.stringify(one)}\n`).join(''));
  };
}

function objectsOf(event: AppLogEvent): object[] {
  if (event.kind === 'version') return [{ deployment: event.deployment, commit: event.commit }];
  if (event.kind === 'left-out') return [{ leftOut: event.lines }];
  if (event.kind === 'end') return [];
  return event.lines.map(({ at, stream, text }) => ({ at, deployment: event.deployment, stream, text }));
}
