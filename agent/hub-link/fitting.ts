/** A report that the hub would not take comes first on every connection, and holds up all that wait behind it. */
import { MAX_FRAME_BYTES, Report } from '../../protocol/agent-link.ts';
import { withinBounds } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';

/** What a frame has around its report, bytes: far more than that. */
const ENVELOPE_BYTES = 1024;

/** The report itself when the hub takes it; else the same without what may be too much of it. */
export function fitting(report: Report, log: Logger): Report {
  const bytes = Buffer.byteLength(JSON.stringify(report));
  const problem = Report.safeParse(report).error?.issues[0];
  if (bytes <= MAX_FRAME_BYTES - ENVELOPE_BYTES && problem === undefined) return report;
  const { kind, deploymentId } = report;
  log.error(
    { kind, deploymentId, bytes, problem: problem && `${problem.path.join('.')}: ${problem.message}` },
    'a report that the hub would not take is told without its output, note and release, and its error cut short',
  );
  return shortened(report);
}

function shortened(report: Report): Report {
  if (report.kind === 'log') return report; // made within its bounds
  const short = { ...report, ...(report.error !== undefined && { error: withinBounds(report.error) }) };
  if (short.kind === 'deployment') delete short.release;
  else {
    delete short.output;
    delete short.note;
  }
  return short;
}
