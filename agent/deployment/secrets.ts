/** What of a job must never be read in a log or an error. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { CUT } from '../lib/cut.ts';
import { makeRedactor, MARK, MIN_SECRET_BYTES } from '../lib/redactor.ts';

/** Lines of a longer value (a PEM key) are looked for one by one: programs print them so. Shorter ones would be plain words. */
const MIN_LINE = 16;

/** What must not stand in any log of the job: values and logins, in the spellings in which programs print them. */
export function secretsOf(job: ReleaseJob): readonly string[] {
  const { auth } = job.source;
  const logins = job.registries.map(({ username, password }) => ({ username, token: password }));
  return [
    ...[...Object.values(job.env), ...Object.values(job.buildSecrets)].flatMap(spellings),
    ...[...(auth ? [auth] : []), ...logins].flatMap(({ username, token }) => [
      ...spellings(token),
      // As an Authorization header carries it (RFC 7617).
      Buffer.from(`${username}:${token}`).toString('base64'),
    ]),
  ];
}

/** A value as it stands, and as programs print it: line by line, in JSON, in a URL, in base64. */
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

/** A value may hold half a surrogate pair, which no URL can carry. */
const urlEncoded = (value: string): string => encodeURIComponent(value.toWellFormed());

/**
 * The same error without secrets: an app's last lines are evidence, and apps print what they were given. Not yet within the
 * bounds of a report: what is cut off first takes the end of a secret with it, and the rest of it is not found any more.
 */
export function withoutSecrets(error: unknown, secrets: readonly string[]): OrkestrError {
  const redact = (text: string): string => withoutCutOnes(redactText(text, secrets), secrets);
  const evidence = error instanceof OrkestrError ? error.evidence : [];
  const message = error instanceof Error ? error.message : String(error);
  const clean = new OrkestrError(toErrorReport(error).code, redact(message), { evidence: evidence.map(redact) });
  // Where it was thrown is what a reader of the agent's own log looks for.
  if (error instanceof Error && error.stack !== undefined) clean.stack = redact(error.stack);
  return clean;
}

export function redactText(text: string, secrets: readonly string[]): string {
  const redactor = makeRedactor(secrets);
  return Buffer.concat([redactor.push(Buffer.from(text)), redactor.end()]).toString();
}

/** In front of each mark of a cut may stand the beginning of a secret. */
function withoutCutOnes(text: string, secrets: readonly string[]): string {
  const parts = text.split(CUT);
  const rest = parts.pop() ?? '';
  return [...parts.map((part) => withoutEnd(part, secrets)), rest].join(CUT);
}

/** Without what a redactor would wait with, for it may go on as a secret. */
function withoutEnd(text: string, secrets: readonly string[]): string {
  const redactor = makeRedactor(secrets);
  const shown = redactor.push(Buffer.from(text));
  const open = redactor.end();
  return `${shown.toString()}${open.length < MIN_SECRET_BYTES ? open.toString() : MARK}`;
}
