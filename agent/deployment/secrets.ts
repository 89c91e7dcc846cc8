/** What of a job must never be read in a log or an error. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { makeRedactor, MIN_SECRET_BYTES } from '../lib/redactor.ts';

/** Lines of a longer value (a PEM key) are looked for one by one: programs print them so. Shorter ones would be plain words. */
const MIN_LINE = 16;

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
function spellings(value: string): string[] {
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

/** The same error without secrets: an app's last lines are evidence, and apps print what they were given. */
export function withoutSecrets(error: unknown, secrets: readonly string[]): OrkestrError {
  const redact = (text: string): string => {
    const redactor = makeRedactor(secrets);
    return Buffer.concat([redactor.push(Buffer.from(text)), redactor.end()]).toString();
  };
  const { code, message, evidence } = toErrorReport(error);
  const clean = new OrkestrError(code, redact(message), { evidence: evidence.map(redact) });
  // Where it was thrown is what a reader of the agent's own log looks for.
  if (error instanceof Error && error.stack !== undefined) clean.stack = redact(error.stack);
  return clean;
}
