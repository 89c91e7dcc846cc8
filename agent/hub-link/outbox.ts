/**
 * Sends the outbox over one connection: in order, at most a window ahead of the acknowledgements, each row once per
 * connection. What is not acknowledged when the connection ends is sent again over the next one.
 */
import type { AgentMessage, Report } from '../../protocol/agent-link.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { OutboxRow } from '../deployment/records.ts';
import { fitting } from './fitting.ts';

/** The part of the journal's outbox that sending needs. */
export interface OutboxStore {
  following(sequence: number, limit: number): readonly OutboxRow[];
  acknowledge(sequence: number): void;
  resume(acknowledged: number): void;
  markSent(sequence: number): void;
  onAdded(listener: (() => void) | null): void;
}

/** Reads bytes of a step's log; fewer if the file is shorter or gone. */
export type ReadLog = (deploymentId: string, step: StepName, offset: number, length: number) => Buffer;

export interface OutboxSender {
  /** The hub has stored everything up to `sequence`. */
  acknowledged(sequence: number): void;
  /** Monotonic time at which the oldest unacknowledged report was sent; null if there is none. */
  waitingSince(): number | null;
  stop(): void;
}

interface SenderOptions {
  readonly store: OutboxStore;
  readonly readLog: ReadLog;
  send(message: AgentMessage): void;
  /** Sending failed: the connection is of no use any more. */
  failed(error: Error): void;
  readonly monotonic: () => number;
  /** Maximum number of unacknowledged reports in flight. */
  readonly window: number;
  readonly log: Logger;
}

/** Starts sending after the last report that the hub has. */
export function startSender(options: SenderOptions, hubHas: number): OutboxSender {
  const { store, window } = options;
  const inFlight: { readonly sequence: number; readonly at: number }[] = [];
  let sent = hubHas;
  let stopped = false;
  let scheduled = false;

  const pump = (): void => {
    scheduled = false;
    if (stopped) return;
    const rows = store.following(sent, window - inFlight.length);
    for (const row of rows) {
      options.send({ type: 'report', sequence: row.sequence, report: toReport(row, options) });
      sent = row.sequence;
      inFlight.push({ sequence: sent, at: options.monotonic() });
    }
    if (rows.length > 0) store.markSent(sent);
  };
  // One query for all reports that a transaction adds, and only after it is committed.
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      try {
        pump();
      } catch (error) {
        // A log file or the journal cannot be read: the next connection tries again, the process lives on.
        options.failed(error as Error);
      }
    });
  };

  store.resume(hubHas);
  store.onAdded(schedule);
  schedule();
  return {
    acknowledged(sequence) {
      // An acknowledgement of reports that were never sent must not delete them.
      store.acknowledge(Math.min(sequence, sent));
      while (inFlight[0] && inFlight[0].sequence <= sequence) inFlight.shift();
      schedule();
    },
    waitingSince: () => inFlight[0]?.at ?? null,
    stop() {
      stopped = true;
      store.onAdded(null);
    },
  };
}

function toReport(row: OutboxRow, { readLog, log }: SenderOptions): Report {
  if (row.kind === 'report') return fitting(row.report, log);
  const { deploymentId, step, offset, length } = row;
  return { kind: 'log', deploymentId, step, offset, data: bytesOf(row, readLog, length).toString('base64') };
}

function bytesOf(row: Extract<OutboxRow, { kind: 'log' }>, readLog: ReadLog, length: number): Buffer {
  if (row.dropped) return mark(`${length} bytes of log were dropped while the hub was away`, length);
  const bytes = readLog(row.deploymentId, row.step, row.offset, length);
  return bytes.length === length ? bytes : mark(`${length} bytes of log are no longer on the host`, length);
}

/** Never longer than the chunk it replaces, so that it cannot run into the next one. */
const mark = (text: string, length: number): Buffer => Buffer.from(`[orkestr: ${text}]\n`).subarray(0, length);
