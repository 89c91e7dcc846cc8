/** What of a job must never be read in a log. */
import type { ReleaseJob } from '../../protocol/job.ts';

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
