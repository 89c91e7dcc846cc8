/** Probe `http`: a GET whose status lies in the expected range. Redirects are an answer, never followed. */
import { Client } from 'undici';
import type { Probe } from './probe.ts';

/** What went wrong on the wire, in plain words, by the code of the error (Node's system errors and undici's own). */
const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the container could not be reached',
  ENETUNREACH: 'the container could not be reached',
  EPIPE: 'the connection was reset',
  UND_ERR_SOCKET: 'the connection was closed without an answer',
  UND_ERR_HEADERS_OVERFLOW: 'the answer had too many headers',
};

export function trouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (TROUBLES[code] !== undefined) return TROUBLES[code];
  if (!(error instanceof Error)) return String(error);
  return error.name === 'HTTPParserError' ? `the answer was not HTTP (${error.message})` : error.message;
}

export const http: Probe<'http'> = {
  kind: 'http',
  async probe(check, subject, timeoutMs, signal) {
    const started = subject.monotonic();
    const deadline = AbortSignal.timeout(timeoutMs);
    // One connection per probe: a kept one could outlive the process that answered it.
    const client = new Client(`http://${subject.address}:${subject.port}`, { pipelining: 0 });
    try {
      const { statusCode, body } = await client.request({
        method: 'GET',
        path: check.path,
        headers: {
          'user-agent': 'orkestr-health-check',
          accept: '*/*',
          ...(subject.host !== undefined && { host: subject.host }),
        },
        signal: AbortSignal.any([signal, deadline]),
      });
      // The status is the answer; the body may be endless and is not read. Destroying makes it fail, and that is wanted.
      body.on('error', () => undefined);
      body.destroy();
      const [lowest, highest] = check.status;
      const ok = statusCode >= lowest && statusCode <= highest;
      const expected = ok ? '' : `, expected ${lowest === highest ? lowest : `${lowest} to ${highest}`}`;
      const ms = Math.round(subject.monotonic() - started);
      return { ok, got: `HTTP ${statusCode} from GET ${check.path} in ${ms} ms${expected}` };
    } catch (error) {
      // Not silent: what the wire did is this probe's result. Only the caller's own abort is not.
      signal.throwIfAborted();
      if (deadline.aborted) return { ok: false, got: `no answer to GET ${check.path} within ${timeoutMs} ms` };
      return { ok: false, got: `GET ${check.path}: ${trouble(error)}` };
    } finally {
      await client.destroy();
    }
  },
};
