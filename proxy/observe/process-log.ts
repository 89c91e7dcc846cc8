/**
 * The log of the process itself: pino writes its lines to a sink, so that a stuck reader of stdout blocks nobody. Lines
 * that do not fit are dropped, and a later line reports how many.
 */
import { makeLogger } from '../../protocol/service/logger.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import { LogSink, MAX_LINE_BYTES } from './log-sink.ts';
import { makeLogWriter } from './log-writer.ts';

/** How many characters of a value are kept in a line that was too long. */
const MAX_VALUE = 500;

export interface ProcessLog {
  readonly log: Logger;
  /** Writes the remaining lines, as far as the reader takes them in time. The last call. */
  readonly close: () => Promise<void>;
}

/** @param fd stays open */
export function openProcessLog(level: string, clock: Clock, fd: number): ProcessLog {
  const sink = new LogSink(makeLogWriter(fd), (dropped) => droppedLine(clock, dropped));
  const write = (line: string): void => {
    sink.add(fitted(asAscii(line)));
    // Log lines are few, and somebody may be waiting for them.
    sink.flush();
  };
  return { log: makeLogger('proxy', level, { write }), close: () => sink.close() };
}

/** JSON in pure ASCII, so that its length in characters is its length in bytes. */
function asAscii(line: string): string {
  return line.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The line, or as many of its fields as fit, with long values cut. */
function fitted(line: string): string {
  if (line.length <= MAX_LINE_BYTES) return line;
  const { msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const kept: Record<string, unknown> = { cutFrom: line.length, msg: cut(msg) };
  for (const [name, value] of Object.entries(fields)) {
    const more = { [name]: cut(value), ...kept };
    if (textOf(more).length > MAX_LINE_BYTES) break;
    Object.assign(kept, more);
  }
  return textOf(kept);
}

const textOf = (fields: object): string => asAscii(`${JSON.stringify(fields)}\n`);

function cut(value: unknown): unknown {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined || text.length <= MAX_VALUE ? value : text.slice(0, MAX_VALUE);
}

function droppedLine(clock: Clock, dropped: number): string {
  const time = clock.now().toISOString();
  return `{"level":"warn","time":"${time}","service":"proxy","dropped":${dropped},"msg":"lines of this log were dropped: their reader is too slow"}\n`;
}
