/**
 * Reports for the hub, numbered, kept until acknowledged. Log ranges are rows without bytes: those stay in the files.
 */
import type { Report } from '../../protocol/agent-link.ts';
import { MAX_LOG_CHUNK_BYTES } from '../../protocol/agent-link.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { OutboxRow } from '../deployment/records.ts';
import type { Database } from './database.ts';

/** How much log may wait while the hub is offline. Step and deployment reports always wait. */
export interface OutboxLimits {
  readonly maxLogBytes: number;
  readonly maxLogRows: number;
}

export const DEFAULT_OUTBOX_LIMITS: OutboxLimits = { maxLogBytes: 64 * 1024 * 1024, maxLogRows: 20_000 };

export interface Outbox {
  add(report: Report): void;
  /** Hands over bytes `offset … offset + length` of a step's log file, in rows of at most one chunk. */
  addLogRange(deploymentId: string, step: StepName, offset: number, length: number): void;
  /** Number of bytes of a step's log handed over so far, including acknowledged ones. */
  logEnd(deploymentId: string, step: StepName): number;
  after(sequence: number, limit: number): readonly OutboxRow[];
  /**
   * Rows to send after `sequence`, which the hub has or is about to get. They are renumbered if they do not follow it
   * directly, because the hub rejects a gap. Gaps arise where log was given up, and where the hub was restored from a
   * backup and knows less than it did.
   */
  following(sequence: number, limit: number): readonly OutboxRow[];
  acknowledge(sequence: number): void;
  /**
   * Takes the hub's word for what it has. A journal that is newer or older than the hub's memory of this host (lost,
   * damaged, restored from a copy) would reuse numbers that the hub takes for replays: then all its rows are renumbered
   * from there.
   */
  resume(acknowledged: number): void;
  /** Rows up to here were sent: they are no longer given up. */
  markSent(sequence: number): void;
  size(): number;
  hasLogsOf(deploymentId: string): boolean;
  /**
   * Called at each addition, perhaps inside a transaction that may roll back: the listener should only schedule work.
   */
  onAdded(listener: (() => void) | null): void;
}

interface Row {
  sequence: number;
  deployment_id: string;
  body: string | null;
  step: StepName;
  byte_offset: number;
  byte_length: number;
  dropped: number;
}

export function makeOutbox(database: Database, limits: OutboxLimits): Outbox {
  const insertReport = database.prepare('INSERT INTO outbox (deployment_id, body) VALUES (?, ?)');
  const insertLog = database.prepare(
    'INSERT INTO outbox (deployment_id, step, byte_offset, byte_length) VALUES (?, ?, ?, ?)',
  );
  const setLogEnd = database.prepare(
    'INSERT INTO log_end (deployment_id, step, bytes) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes',
  );
  const getLogEnd = database.prepare<[string, string], number>(
    'SELECT bytes FROM log_end WHERE deployment_id = ? AND step = ?',
  );
  const select = database.prepare<[number, number], Row>(
    'SELECT * FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?',
  );
  const remove = database.prepare('DELETE FROM outbox WHERE sequence <= ?');
  const count = database.prepare<[], number>('SELECT count(*) FROM outbox').pluck();
  const waitingLogs = database.prepare<[], { bytes: number; rows: number }>(
    'SELECT coalesce(sum(byte_length), 0) AS bytes, count(*) AS rows FROM outbox WHERE body IS NULL AND dropped = 0',
  );
  const ofDeployment = database.prepare('SELECT 1 FROM outbox WHERE deployment_id = ? AND body IS NULL LIMIT 1');
  getLogEnd.pluck();

  // Counted in memory instead of a query per chunk; read from the database at open and after each acknowledgement.
  let waiting = waitingLogs.get() ?? { bytes: 0, rows: 0 };
  let sent = 0;
  let listener: (() => void) | null = null;

  const addLogRange = database.transaction((deploymentId: string, step: StepName, offset: number, length: number) => {
    let { bytes, rows } = waiting;
    for (let at = 0; at < length; at += MAX_LOG_CHUNK_BYTES) {
      const chunk = Math.min(MAX_LOG_CHUNK_BYTES, length - at);
      insertLog.run(deploymentId, step, offset + at, chunk);
      bytes += chunk;
      rows += 1;
    }
    setLogEnd.run(deploymentId, step, offset + length);
    while (bytes > limits.maxLogBytes || rows > limits.maxLogRows) {
      const dropped = dropOldest(database, sent);
      if (dropped === 0) break; // all that waits was sent already
      bytes -= dropped;
      rows -= 1;
    }
    return { bytes, rows };
  });

  return {
    add(report) {
      insertReport.run(report.deploymentId, JSON.stringify(report));
      listener?.();
    },
    addLogRange(deploymentId, step, offset, length) {
      if (length <= 0) return;
      waiting = addLogRange(deploymentId, step, offset, length);
      listener?.();
    },
    logEnd: (deploymentId, step) => getLogEnd.get(deploymentId, step) ?? 0,
    after: (sequence, limit) => select.all(sequence, limit).map(toOutboxRow),
    following(sequence, limit) {
      const rows = select.all(sequence, limit);
      if (isWithoutGap(rows, sequence)) return rows.map(toOutboxRow);
      database.transaction(() => numberOn(database, sequence))();
      return select.all(sequence, limit).map(toOutboxRow);
    },
    acknowledge(sequence) {
      remove.run(sequence);
      waiting = waitingLogs.get() ?? waiting;
    },
    resume(acknowledged) {
      resume(database, acknowledged);
      waiting = waitingLogs.get() ?? waiting;
      sent = acknowledged;
    },
    markSent(sequence) {
      sent = sequence;
    },
    size: () => count.get() ?? 0,
    hasLogsOf: (deploymentId) => ofDeployment.get(deploymentId) !== undefined,
    onAdded(next) {
      listener = next;
    },
  };
}

/**
 * Turns the oldest log row that was not sent into (part of) a marker. Returns the bytes given up, 0 if there was none.
 */
function dropOldest(database: Database, sent: number): number {
  const oldest = database
    .prepare<[number], Row>(
      'SELECT * FROM outbox WHERE body IS NULL AND dropped = 0 AND sequence > ? ORDER BY sequence LIMIT 1',
    )
    .get(sent);
  if (!oldest) return 0;
  const before = database
    .prepare<[number, string, string, number], Row>(
      `SELECT * FROM outbox WHERE body IS NULL AND dropped = 1 AND sequence > ? AND deployment_id = ? AND step = ?
       AND byte_offset + byte_length = ?`,
    )
    .get(sent, oldest.deployment_id, oldest.step, oldest.byte_offset);
  if (before) {
    // One marker for a whole run of lost chunks, or the markers themselves would fill the outbox.
    database
      .prepare('UPDATE outbox SET byte_length = byte_length + ? WHERE sequence = ?')
      .run(oldest.byte_length, before.sequence);
    database.prepare('DELETE FROM outbox WHERE sequence = ?').run(oldest.sequence);
  } else {
    database.prepare('UPDATE outbox SET dropped = 1 WHERE sequence = ?').run(oldest.sequence);
  }
  return oldest.byte_length;
}

function resume(database: Database, acknowledged: number): void {
  database.transaction(() => {
    const known = database.prepare("SELECT 1 FROM meta WHERE key = 'hub-met'").get() !== undefined;
    const newest =
      database.prepare<[], number>("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").pluck().get() ?? 0;
    if (known && acknowledged <= newest) {
      database.prepare('DELETE FROM outbox WHERE sequence <= ?').run(acknowledged);
      return;
    }
    numberOn(database, acknowledged, 0);
    database.prepare("INSERT OR IGNORE INTO meta (key, value) VALUES ('hub-met', '1')").run();
  })();
}

/** Renumbers the rows above `from`, and all later ones, so that they follow `last` without a gap. */
function numberOn(database: Database, last: number, from = last): void {
  const rows = database
    .prepare<[number], Pick<Row, 'sequence'>>('SELECT sequence FROM outbox WHERE sequence > ? ORDER BY sequence')
    .all(from);
  if (!isWithoutGap(rows, last)) {
    // By way of negative numbers, so that no row collides with another.
    database.prepare('UPDATE outbox SET sequence = -sequence WHERE sequence > ?').run(from);
    const move = database.prepare('UPDATE outbox SET sequence = ? WHERE sequence = ?');
    rows.forEach(({ sequence }, index) => move.run(last + 1 + index, -sequence));
  }
  database.prepare("DELETE FROM sqlite_sequence WHERE name = 'outbox'").run();
  database.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)").run(last + rows.length);
}

const isWithoutGap = (rows: readonly Pick<Row, 'sequence'>[], last: number): boolean =>
  rows.every(({ sequence }, index) => sequence === last + 1 + index);

function toOutboxRow(row: Row): OutboxRow {
  return row.body === null
    ? {
        sequence: row.sequence,
        kind: 'log',
        deploymentId: row.deployment_id,
        step: row.step,
        offset: row.byte_offset,
        length: row.byte_length,
        dropped: row.dropped === 1,
      }
    : { sequence: row.sequence, kind: 'report', report: JSON.parse(row.body) as Report };
}
