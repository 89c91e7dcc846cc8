/** Coded errors as they are thrown, kept and told. What each code means: error-catalogue.ts. */
import { z } from 'zod';
import { ErrorCode, ERRORS } from './error-catalogue.ts';
import type { ErrorKind } from './error-kind.ts';
import { isDiskFull } from './service/disk-full.ts';

/** An error as it is stored, sent and shown. */
/** Characters of a report's message at most. */
const MAX_MESSAGE = 4000;

export const ErrorReport = z.object({
  code: ErrorCode,
  /** One plain sentence: what happened. */
  message: z.string().max(MAX_MESSAGE),
  /** Facts behind it, one line each: exit code, last log lines, listening sockets. */
  evidence: z.array(z.string().max(2000)).max(60).default([]),
});
export type ErrorReport = z.infer<typeof ErrorReport>;

/** As it is read: a code that a newer version has and this one does not must not cost what carries it, its words still tell. */
export const ReadErrorReport = ErrorReport.extend({ code: ErrorCode.catch('ORK_CODE_UNKNOWN') });

/** The one error class of orkestr. Whatever else is thrown is a bug and becomes `ORK_INTERNAL` at the border. */
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

/** Any thrown value as an {@link ErrorReport}, within the bounds of its schema. A full disk is no bug, whoever met it. */
export function toErrorReport(error: unknown, fallback: ErrorCode = 'ORK_INTERNAL'): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof OrkestrError ? error : undefined;
  const code = known?.code ?? (isDiskFull(error) ? 'ORK_DISK_FULL' : fallback);
  return withinBounds({ code, message, evidence: [...(known?.evidence ?? [])] });
}

/** Cut to the bounds of its schema. */
export const withinBounds = ({ code, message, evidence }: ErrorReport): ErrorReport => ({
  code,
  message: message.slice(0, MAX_MESSAGE),
  evidence: evidence.slice(0, 60).map((line) => line.slice(0, 2000)),
});

/** The report with a sentence at the end of its message, which gives way when there is no room. */
export const withSentence = (error: ErrorReport, sentence: string): ErrorReport => ({
  ...error,
  message: `${error.message.slice(0, MAX_MESSAGE - 1 - sentence.length)} ${sentence}`,
});

/** RFC 9457 problem document, as the hub's API and the proxy's admin API answer it. */
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
