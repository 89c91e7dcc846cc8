/** Makes reports acceptable to the hub: a rejected one would come first on every connection and block all behind it. */
import { MAX_FRAME_BYTES, Report } from '../../protocol/agent-link.ts';
import { withinBounds } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';

/** Upper bound for the rest of a frame around its report, bytes. */
const ENVELOPE_BYTES = 1024;

/** The report itself if the hub accepts it; else the report without the parts that may be too large. */
export function fitting(report: Report, log: Logger): Report {
  const bytes = Buffer.byteLength(JSON.stringify(report));
  const problem = Report.safeParse(report).error?.issues[0];
  if (bytes <= MAX_FRAME_BYTES - ENVELOPE_BYTES && problem === undefined) return report;
  const { kind, deploymentId } = report;
  log.error(
    { kind, deploymentId, bytes, problem: problem && `${problem.path.join('.')}: ${problem.message}` },
    'a report that the hub would not take is sent without its output, note and release, and its error cut short',
  );
  return shortened(report);
}

function shortened(report: Report): Report {
  if (report.kind === 'log') return report; // already made within the limits
  const short = { ...report, ...(report.error !== undefined && { error: withinBounds(report.error) }) };
  if (short.kind === 'deployment') delete short.release;
  else {
    delete short.output;
    delete short.note;
  }
  return short;
}
