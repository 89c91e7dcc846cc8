/**
 * App logs on the wire: what the containers of an environment write to stdout and stderr, read live from its host. Docker keeps
 * it there, and the hub stores none of it. A read is the hub's: it orders one, gives credit for more as its reader takes what came,
 * and closes it. A read ends with its connection.
 */
import { z } from 'zod';
import { ReadErrorReport } from './errors.ts';
import { Uuid } from './ids.ts';

/** Lines from before that a read may ask for. */
export const MAX_TAIL_LINES = 10_000;
/** How far back it may ask, s. */
const MAX_SINCE_SECONDS = 366 * 86_400;
/** Chunks that an agent may send before it has been given credit; from then on one for each that was taken. */
export const APP_LOG_WINDOW = 4;
/** Reads of a host at once, so that it serves its visitors and not its watchers. */
export const HOST_APP_LOG_READS = 8;
/** Characters of the lines of one chunk, unless its one line is longer: all in flight is little beside what the link carries else. */
export const APP_LOG_CHUNK_CHARACTERS = 32_768;
/** Lines of one chunk. */
const APP_LOG_CHUNK_LINES = 1000;
/** Bytes at which a line is cut, with a mark. */
export const APP_LOG_LINE_BYTES = 65_536;
/** Versions that a read can go on with: the one that serves, those that drain. */
export const MAX_APP_LOG_POSITIONS = 4;

/** How long ago, as people write it: 30s, 10m, 2h, 1d. */
export const Ago = z.string().regex(/^\d{1,8}[smhd]$/, 'a number with s, m, h or d, such as 10m');

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The same in seconds, within the bounds of a read. */
export const secondsAgo = (text: string): number =>
  Math.min(Math.max(Number(text.slice(0, -1)) * (UNITS[text.slice(-1)] ?? 0), 1), MAX_SINCE_SECONDS);

/** Lines from before that are read when nobody says how many. */
export const defaultTail = (since: string | undefined): number => (since === undefined ? 100 : MAX_TAIL_LINES);

/** When a line was written, as Docker stamps it: nanoseconds tell lines apart. */
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

/** Up to where the log of a version was read. */
export const AppLogPosition = z.object({ deploymentId: Uuid, at: LineTime });
export type AppLogPosition = z.infer<typeof AppLogPosition>;

/** What is to be read. */
export const AppLogRequest = z.object({
  environmentId: Uuid,
  /** Newest lines from before; 0 for none. */
  tail: z.int().min(0).max(MAX_TAIL_LINES),
  /** Not older than this, by the clock of the host; null: however old. */
  sinceSeconds: z.int().min(1).max(MAX_SINCE_SECONDS).nullable(),
  /** Go on with what is written from now on, across deployments. */
  follow: z.boolean(),
  /** A read that broke off goes on behind these; then `tail` and `sinceSeconds` say nothing. */
  after: z.array(AppLogPosition).max(MAX_APP_LOG_POSITIONS),
});
export type AppLogRequest = z.infer<typeof AppLogRequest>;

/** hub → agent */
export const AppLogOrder = AppLogRequest.extend({ type: z.literal('app-log'), readId: Uuid });
export type AppLogOrder = z.infer<typeof AppLogOrder>;
/** hub → agent: so many more chunks may come. */
export const AppLogCredit = z.object({
  type: z.literal('app-log-credit'),
  readId: Uuid,
  chunks: z.int().min(1).max(APP_LOG_WINDOW),
});
export type AppLogCredit = z.infer<typeof AppLogCredit>;
/** hub → agent: nobody reads on. */
export const AppLogClose = z.object({ type: z.literal('app-log-close'), readId: Uuid });
export type AppLogClose = z.infer<typeof AppLogClose>;

/** What came of a read, in its order. */
export const AppLogPart = z.object({
  /** Which version wrote these lines. The first part of each may have none: it says that its log begins. */
  deploymentId: Uuid,
  /** Lines in front of these that were left out, for the reader was too slow. */
  leftOut: z.int().min(0),
  lines: z.array(AppLogLine).max(APP_LOG_CHUNK_LINES),
});
export type AppLogPart = z.infer<typeof AppLogPart>;

/** agent → hub */
export const AppLogChunk = AppLogPart.extend({ type: z.literal('app-log-chunk'), readId: Uuid });
export type AppLogChunk = z.infer<typeof AppLogChunk>;
/** agent → hub: nothing more comes. */
export const AppLogEnd = z.object({
  type: z.literal('app-log-end'),
  readId: Uuid,
  /** Absent: all there was, or the environment was taken off the host. */
  error: ReadErrorReport.optional(),
});
export type AppLogEnd = z.infer<typeof AppLogEnd>;

/** A read that is under way, at either end. */
export interface AppLogRead {
  /** The next part, when there is one; null when all is read. One call at a time. @throws OrkestrError why it cannot go on */
  next(): Promise<AppLogPart | null>;
  /** Nobody reads on. Safe twice, and after the end. */
  close(): void;
}
