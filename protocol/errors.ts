/** Coded errors as they are thrown, stored and shown. error-catalogue.ts defines the codes. */
import { z } from 'zod';
import { ErrorCode, ERRORS } from './error-catalogue.ts';
import type { ErrorKind } from './error-kind.ts';
import { isDiskFull } from './service/disk-full.ts';

/** Longest message of an {@link ErrorReport}, characters. */
const MAX_MESSAGE = 4000;

/** An error as it is stored, sent and shown. */
export const ErrorReport = z.object({
  code: ErrorCode,
  /** What happened, in one plain sentence. */
  message: z.string().max(MAX_MESSAGE),
  /** Supporting facts, one line each: exit code, last log lines, listening sockets. */
  evidence: z.array(z.string().max(2000)).max(60).default([]),
});
export type ErrorReport = z.infer<typeof ErrorReport>;

/** For reading: a code that only newer versions know must not invalidate the whole message; its text still helps. */
export const ReadErrorReport = ErrorReport.extend({ code: ErrorCode.catch('ORK_CODE_UNKNOWN') });

/** The only error class of orkestr. Anything else that is thrown is a bug and becomes `ORK_INTERNAL` at the border. */
export class OrkestrError extends Error {
  readonly code: ErrorCode;
  readonly evidence: readonly string[];

  constructor(code: ErrorCode, message: string, options: { evidence?: readonly string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OrkestrError';
    this.code = code;
    this.evidence = options.evidence ?? [];
  }

  get kind(): ErrorKind {
    return ERRORS[this.code];
  }
}

/** Converts any thrown value to an {@link ErrorReport} within its limits. A full disk is never a bug. */
export function toErrorReport(error: unknown, fallback: ErrorCode = 'ORK_INTERNAL'): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof OrkestrError ? error : undefined;
  const code = known?.code ?? (isDiskFull(error) ? 'ORK_DISK_FULL' : fallback);
  return withinBounds({ code, message, evidence: [...(known?.evidence ?? [])] });
}

/** Cuts a report to the limits of its schema. */
export const withinBounds = ({ code, message, evidence }: ErrorReport): ErrorReport => ({
  code,
  message: message.slice(0, MAX_MESSAGE),
  evidence: evidence.slice(0, 60).map((line) => line.slice(0, 2000)),
});

/** Appends a sentence to the report's message, which is shortened if there is no room. */
export const withSentence = (error: ErrorReport, sentence: string): ErrorReport => ({
  ...error,
  message: `${error.message.slice(0, MAX_MESSAGE - 1 - sentence.length)} ${sentence}`,
});

/** RFC 9457 problem document, as returned by the hub's API and the proxy's admin API. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: ErrorCode,
  detail: z.string(),
  fault: z.string(),
  retry: z.boolean(),
  mend: z.string(),
  evidence: z.array(z.string()),
});
export type Problem = z.infer<typeof Problem>;

/** An error report as a problem document. `type` points into docs/errors.md. */
export function toProblem(report: ErrorReport): Problem {
  const { fault, retry, status, mend } = ERRORS[report.code];
  return {
    type: `urn:orkestr:error:${report.code}`,
    title: report.code,
    status,
    code: report.code,
    detail: report.message,
    fault,
    retry,
    mend,
    evidence: report.evidence,
  };
}
