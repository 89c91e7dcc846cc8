/** What of a job must never be read in a log or an error. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { makeRedactor } from '../lib/redactor.ts';

/** Lines of a longer value (a PEM key) are looked for one by one: programs print them so. Shorter ones would be plain words. */
const MIN_LINE = 16;

export function secretsOf(job: ReleaseJob): readonly string[] {
  const { auth } = job.source;
  const values = Object.values(job.env);
  const lines = values.filter((value) => value.includes('\n')).flatMap((value) => value.split('\n'));
  return [
    ...values,
    ...lines.map((line) => line.trim()).filter((line) => line.length >= MIN_LINE),
    // As it stands, and as an Authorization header carries it (RFC 7617).
    ...(auth ? [auth.token, Buffer.from(`${auth.username}:${auth.token}`).toString('base64')] : []),
  ];
}

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
