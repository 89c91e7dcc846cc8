/**
 * On a host without a hub nobody acknowledges reports. This consumer takes them instead, so that they do not pile up.
 */
import type { Report } from '../../protocol/agent-link.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { Outbox } from './outbox.ts';

const BATCH = 100;

export type LocalReport =
  | Exclude<Report, { kind: 'log' }>
  | { readonly kind: 'log'; readonly deploymentId: string; readonly step: StepName; readonly bytes: Buffer };

interface ReadLog {
  read(deploymentId: string, step: StepName, offset: number, length: number): Buffer;
}

/** Takes existing and future reports, in order. The returned function takes what is left and stops. */
export function takeReports(
  outbox: Outbox,
  logs: ReadLog,
  take: (report: LocalReport) => void,
  log: Pick<Logger, 'error'>,
): () => void {
  const drain = (): void => {
    for (let rows = outbox.after(0, BATCH); rows.length > 0; rows = outbox.after(0, BATCH)) {
      for (const row of rows) {
        if (row.kind === 'report') take(row.report as LocalReport);
        else {
          const { deploymentId, step, offset, length } = row;
          take({ kind: 'log', deploymentId, step, bytes: logs.read(deploymentId, step, offset, length) });
        }
      }
      outbox.acknowledge(rows.at(-1)?.sequence ?? 0);
    }
  };
  let scheduled: NodeJS.Immediate | null = null;
  // After the commit of the transaction that adds them.
  outbox.onAdded(() => {
    scheduled ??= setImmediate(() => {
      scheduled = null;
      try {
        drain();
      } catch (error) {
        // They stay in the outbox and are taken with the next ones.
        log.error({ err: error }, 'reports could not be taken');
      }
    });
  });
  drain();
  return () => {
    outbox.onAdded(null);
    if (scheduled) clearImmediate(scheduled);
    drain();
  };
}
