/**
 * App logs on the wire: what the containers of an environment write to stdout and stderr, read live from its host.
 * Docker keeps the logs there; the hub stores none of them. The hub controls a read: it orders it, grants credit for
 * more chunks as the reader consumes them, and closes it. A read ends with its connection.
 */
import { z } from 'zod';
import { ReadErrorReport } from './errors.ts';
import { Uuid } from './ids.ts';

/** How many earlier lines a read may request. */
export const MAX_TAIL_LINES = 10_000;
/** How far back a read may reach, s. */
const MAX_SINCE_SECONDS = 366 * 86_400;
/** Chunks that an agent may send before it gets credit; afterwards one for each chunk that was consumed. */
export const APP_LOG_WINDOW = 4;
/** Reads of a host at once, so that it serves its visitors rather than log readers. */
export const HOST_APP_LOG_READS = 8;
/** Characters per chunk, except for a single longer line. All chunks in flight are a small part of a link's traffic. */
export const APP_LOG_CHUNK_CHARACTERS = 32_768;
/** Lines per chunk. */
const APP_LOG_CHUNK_LINES = 1000;
/** Longest line, bytes; a longer one is cut and marked. */
export const APP_LOG_LINE_BYTES = 65_536;
/** Deployments that a read can resume with: the one that serves, and those that drain. */
export const MAX_APP_LOG_POSITIONS = 4;

/** How long ago, in human notation: 30s, 10m, 2h, 1d. */
export const Ago = z.string().regex(/^\d{1,8}[smhd]$/, 'a number with s, m, h or d, such as 10m');

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The same in seconds, within the limits of a read. */
export const secondsAgo = (text: string): number =>
  Math.min(Math.max(Number(text.slice(0, -1)) * (UNITS[text.slice(-1)] ?? 0), 1), MAX_SINCE_SECONDS);

/** How many earlier lines are read if nobody specifies it. */
export const defaultTail = (since: string | undefined): number => (since === undefined ? 100 : MAX_TAIL_LINES);

/** When a line was written, as Docker stamps it. The nanoseconds distinguish lines. */
export const LINE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z$/;
export const LineTime = z.string().regex(LINE_TIME);
export type LineTime = z.infer<typeof LineTime>;

export const AppLogLine = z.object({
  at: LineTime,
  stream: z.enum(['stdout', 'stderr']),
  /** Without its newline. */
  text: z.string().max(APP_LOG_LINE_BYTES + 100),
});
export type AppLogLine = z.infer<typeof AppLogLine>;

/** Up to where the log of a deployment has been read. */
export const AppLogPosition = z.object({ deploymentId: Uuid, at: LineTime });
export type AppLogPosition = z.infer<typeof AppLogPosition>;

/** What to read. */
export const AppLogRequest = z.object({
  environmentId: Uuid,
  /** Number of the latest earlier lines; 0 for none. */
  tail: z.int().min(0).max(MAX_TAIL_LINES),
  /** Maximum age of a line, by the host's clock; null: no limit. */
  sinceSeconds: z.int().min(1).max(MAX_SINCE_SECONDS).nullable(),
  /** Continue with new lines, across deployments. */
  follow: z.boolean(),
  /** Resume an interrupted read after these positions; `tail` and `sinceSeconds` are then ignored. */
  after: z.array(AppLogPosition).max(MAX_APP_LOG_POSITIONS),
});
export type AppLogRequest = z.infer<typeof AppLogRequest>;

/** hub → agent */
export const AppLogOrder = AppLogRequest.extend({ type: z.literal('app-log'), readId: Uuid });
export type AppLogOrder = z.infer<typeof AppLogOrder>;
/** hub → agent: this many more chunks may be sent. */
export const AppLogCredit = z.object({
  type: z.literal('app-log-credit'),
  readId: Uuid,
  chunks: z.int().min(1).max(APP_LOG_WINDOW),
});
export type AppLogCredit = z.infer<typeof AppLogCredit>;
/** hub → agent: the reader has gone. */
export const AppLogClose = z.object({ type: z.literal('app-log-close'), readId: Uuid });
export type AppLogClose = z.infer<typeof AppLogClose>;

/** A part of a read; parts are in order. */
export const AppLogPart = z.object({
  /** The deployment that wrote these lines. Its first part may be empty and only mark the start of its log. */
  deploymentId: Uuid,
  /** How many lines before these were left out because the reader was too slow. */
  leftOut: z.int().min(0),
  lines: z.array(AppLogLine).max(APP_LOG_CHUNK_LINES),
});
export type AppLogPart = z.infer<typeof AppLogPart>;

/** agent → hub */
export const AppLogChunk = AppLogPart.extend({ type: z.literal('app-log-chunk'), readId: Uuid });
export type AppLogChunk = z.infer<typeof AppLogChunk>;
/** agent → hub: no more parts follow. */
export const AppLogEnd = z.object({
  type: z.literal('app-log-end'),
  readId: Uuid,
  /** Absent: everything was read, or the environment was removed from the host. */
  error: ReadErrorReport.optional(),
});
export type AppLogEnd = z.infer<typeof AppLogEnd>;

/** A running read, at either end. */
export interface AppLogRead {
  /**
   * The next part, once there is one; null at the end. One call at a time.
   * @throws OrkestrError why it cannot continue
   */
  next(): Promise<AppLogPart | null>;
  /** Ends the read. May be called twice, and after the end. */
  close(): void;
}
