/** The parts of a job that must never appear in a log or an error. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { CUT } from '../lib/cut.ts';
import { makeRedactor, MARK, MIN_SECRET_BYTES } from '../lib/redactor.ts';

/**
 * Lines of a multi-line value (a PEM key) are redacted one by one, because programs print them so. Shorter lines would
 * be plain words.
 */
const MIN_LINE = 16;

/** What no log of the job may contain: values and logins, in the spellings in which programs print them. */
export function secretsOf(job: ReleaseJob): readonly string[] {
  const { auth } = job.source;
  const logins = job.registries.map(({ username, password }) => ({ username, token: password }));
  return [
    ...[...Object.values(job.env), ...Object.values(job.buildSecrets)].flatMap(spellings),
    ...[...(auth ? [auth] : []), ...logins].flatMap(({ username, token }) => [
      ...spellings(token),
      // As in an Authorization header (RFC 7617).
      Buffer.from(`${username}:${token}`).toString('base64'),
    ]),
  ];
}

/** A value as it is, and as programs print it: line by line, in JSON, in a URL, in base64. */
export function spellings(value: string): string[] {
  if (value.length < MIN_SECRET_BYTES) return [value];
  const lines = value.includes('\n') ? value.split('\n').map((line) => line.trim()) : [];
  return [
    value,
    ...lines.filter((line) => line.length >= MIN_LINE),
    JSON.stringify(value).slice(1, -1),
    urlEncoded(value),
    Buffer.from(value).toString('base64'),
  ];
}

/** A value may contain a lone surrogate, which encodeURIComponent rejects. */
const urlEncoded = (value: string): string => encodeURIComponent(value.toWellFormed());

/**
 * The same error without secrets: an app's last lines are evidence, and apps print what they were given. Must run
 * before the error is cut to the size of a report: a cut takes the end of a secret away, and the rest is no longer
 * recognized.
 */
export function withoutSecrets(error: unknown, secrets: readonly string[]): OrkestrError {
  const redact = (text: string): string => withoutCutOnes(redactText(text, secrets), secrets);
  const evidence = error instanceof OrkestrError ? error.evidence : [];
  const message = error instanceof Error ? error.message : String(error);
  const clean = new OrkestrError(toErrorReport(error).code, redact(message), { evidence: evidence.map(redact) });
  // The agent's own log shows where the error was thrown.
  if (error instanceof Error && error.stack !== undefined) clean.stack = redact(error.stack);
  return clean;
}

export function redactText(text: string, secrets: readonly string[]): string {
  const redactor = makeRedactor(secrets);
  return Buffer.concat([redactor.push(Buffer.from(text)), redactor.end()]).toString();
}

/** The beginning of a secret may stand in front of each cut mark. */
function withoutCutOnes(text: string, secrets: readonly string[]): string {
  const parts = text.split(CUT);
  const rest = parts.pop() ?? '';
  return [...parts.map((part) => withoutEnd(part, secrets)), rest].join(CUT);
}

/** Without the end that a redactor would hold back because it may be the beginning of a secret. */
function withoutEnd(text: string, secrets: readonly string[]): string {
  const redactor = makeRedactor(secrets);
  const shown = redactor.push(Buffer.from(text));
  const open = redactor.end();
  return `${shown.toString()}${open.length < MIN_SECRET_BYTES ? open.toString() : MARK}`;
}
