/**
 * The log of one step: raw bytes in `<folder>/<deployment id>/<step>.log`, with secrets redacted and with limits per
 * line and in total. The outbox gets ranges of the file, not copies of the bytes.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Uuid } from '../../protocol/ids.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { StepName } from '../../protocol/steps.ts';
import { makeLineLimiter } from '../lib/line-limiter.ts';
import { makeRedactor } from '../lib/redactor.ts';
import type { StepLog } from './ports.ts';

export interface LogLimits {
  /** For all steps of a deployment together. */
  readonly deploymentBytes: number;
  /** Each step may write this much even if earlier steps used up the total: its few lines say why it failed. */
  readonly stepReserveBytes: number;
  readonly lineBytes: number;
  readonly flushMs: number;
  readonly flushBytes: number;
}

export const DEFAULT_LOG_LIMITS: LogLimits = {
  deploymentBytes: 10 * 1024 * 1024,
  stepReserveBytes: 64 * 1024,
  lineBytes: 64 * 1024,
  flushMs: 200,
  flushBytes: 64 * 1024,
};

/** Takes ranges of log files, and knows how far an earlier run got. */
interface LogIndex {
  logEnd(deploymentId: string, step: StepName): number;
  addLogRange(deploymentId: string, step: StepName, offset: number, length: number): void;
}

export interface OpenLog extends StepLog {
  /** Writes out and hands over all that is left. Idempotent. */
  close(): void;
}

export interface DeploymentLogs {
  /** Opens for appending. After a crash, continues exactly where file and index agree. */
  open(deploymentId: string, step: StepName, secrets: Iterable<string>): OpenLog;
  /** Bytes of a step's log; fewer if the file is shorter or gone. */
  read(deploymentId: string, step: StepName, offset: number, length: number): Buffer;
  remove(deploymentId: string): void;
  /** Removes the logs of all deployments that are not kept. */
  sweep(isKept: (deploymentId: string) => boolean): void;
}

interface LogOptions {
  readonly folder: string;
  readonly index: LogIndex;
  readonly limits: LogLimits;
  readonly log: Logger;
}

export function makeDeploymentLogs(options: LogOptions): DeploymentLogs {
  const { folder } = options;
  const remove = (deploymentId: string): void => rmSync(join(folder, deploymentId), { recursive: true, force: true });
  return {
    open: (deploymentId, step, secrets) => openLog(options, deploymentId, step, secrets),
    read: (deploymentId, step, offset, length) => readRange(logPath(folder, deploymentId, step), offset, length),
    remove,
    sweep(isKept) {
      const deployments = existsSync(folder) ? readdirSync(folder).filter((name) => Uuid.safeParse(name).success) : [];
      for (const deploymentId of deployments) if (!isKept(deploymentId)) remove(deploymentId);
    },
  };
}

export const logPath = (folder: string, deploymentId: string, step: StepName): string =>
  join(folder, deploymentId, `${step}.log`);

function openLog(options: LogOptions, deploymentId: string, step: StepName, secrets: Iterable<string>): OpenLog {
  const { limits } = options;
  const file = openRanges(options, deploymentId, step);
  const redactor = makeRedactor(secrets);
  const limitLines = makeLineLimiter(limits.lineBytes);
  let room = Math.max(
    limits.deploymentBytes - bytesIn(join(options.folder, deploymentId)),
    limits.stepReserveBytes - file.size(),
  );
  let full = room <= 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  let midLine = false;

  const flush = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
    file.append(Buffer.concat(pending));
    pending = [];
    pendingBytes = 0;
  };
  const keep = (bytes: Buffer): void => {
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes >= limits.flushBytes) flush();
    else timer ??= setTimeout(flush, limits.flushMs);
  };
  const store = (bytes: Buffer): void => {
    if (bytes.length === 0 || full) return;
    keep(bytes.subarray(0, room));
    room -= bytes.length;
    if (room >= 0) return;
    full = true;
    keep(Buffer.from('\n[orkestr: the log limit is reached, the rest is not kept]\n'));
  };
  const write = (bytes: Uint8Array): void => {
    if (closed || bytes.length === 0) return;
    midLine = bytes.at(-1) !== 0x0a;
    store(limitLines(redactor.push(bytes)));
  };
  return {
    write,
    line: (text) => write(Buffer.from(`${midLine ? '\n' : ''}${text}\n`)),
    close() {
      if (closed) return;
      store(limitLines(redactor.end()));
      closed = true;
      flush();
      file.close();
    },
  };
}

interface RangeFile {
  size(): number;
  append(bytes: Buffer): void;
  close(): void;
}

/**
 * A log file whose every byte is handed to the index once: first the file is written, then the range, so that a crash
 * loses neither. If the file cannot even be opened, for want of an inode, the next write tries again.
 */
function openRanges({ folder, index, log }: LogOptions, deploymentId: string, step: StepName): RangeFile {
  let fd: number | null = null;
  let end = 0;
  let handed = index.logEnd(deploymentId, step);
  let lost = 0;

  const opened = (): number => {
    if (fd !== null) return fd;
    mkdirSync(join(folder, deploymentId), { recursive: true, mode: 0o700 });
    fd = openSync(logPath(folder, deploymentId, step), 'a', 0o600);
    end = fstatSync(fd).size;
    return fd;
  };
  const append = (bytes: Buffer): void => {
    try {
      const file = opened();
      // A power cut may lose bytes of the file whose range was already handed over. Offsets must never be used twice.
      const before = [end < handed && filler(handed - end), lost > 0 && lostMark(lost)].filter(
        (part) => part !== false,
      );
      const whole = Buffer.concat([...before, bytes]);
      // `end` advances with each write, so that it is right even if the disk fills up halfway.
      for (let at = 0; at < whole.length;) {
        const written = writeSync(file, whole, at);
        at += written;
        end += written;
      }
      lost = 0;
    } catch (error) {
      // A full disk must not fail a deployment that otherwise succeeds. Later, the log says how much is missing.
      lost += bytes.length;
      log.warn({ err: error, deploymentId, step }, 'the step log cannot be written');
    }
    handOver();
  };
  const handOver = (): void => {
    if (end <= handed) return;
    try {
      index.addLogRange(deploymentId, step, handed, end - handed);
      handed = end;
    } catch (error) {
      // The range stays pending. The next append, or the next open, hands it over.
      log.warn({ err: error, deploymentId, step }, 'the step log cannot be handed over');
    }
  };
  append(Buffer.alloc(0));
  return {
    size: () => end,
    append,
    close() {
      if (fd !== null) closeSync(fd);
    },
  };
}

const lostMark = (bytes: number): Buffer => Buffer.from(`\n[orkestr: ${bytes} bytes of log could not be written]\n`);

/** Exactly `length` bytes, which say that as many were lost. */
function filler(length: number): Buffer {
  const text = `[orkestr: ${length} bytes of log were lost in a crash]\n`;
  return length < text.length ? Buffer.alloc(length, '\n') : Buffer.from(text.padStart(length, '\n'));
}

function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function readRange(path: string, offset: number, length: number): Buffer {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  } finally {
    closeSync(fd);
  }
}
