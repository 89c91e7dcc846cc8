/**
 * Probe `http`: a GET whose status must be in the expected range. Redirects count as responses and are never followed.
 */
import { callHttp } from '../lib/http-call.ts';
import type { Probe } from './probe.ts';

/** Network errors in plain words, by error code. */
const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the container could not be reached',
  ENETUNREACH: 'the container could not be reached',
  EPIPE: 'the connection was reset',
  HPE_HEADER_OVERFLOW: 'the answer had too many headers',
};
/** Node's message for a connection that ended before the response. */
const HUNG_UP = 'socket hang up';
/** Prefix of the error codes of Node's HTTP parser. */
const NOT_HTTP = 'HPE_';

/** Why an app gave no response, in words for its owner. */
export function trouble(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message === HUNG_UP) return 'the connection was closed without an answer';
  const code = 'code' in error ? String(error.code) : '';
  if (TROUBLES[code] !== undefined) return TROUBLES[code];
  return code.startsWith(NOT_HTTP) ? `the answer was not HTTP (${error.message})` : error.message;
}

export const http: Probe<'http'> = {
  kind: 'http',
  async probe(check, subject, timeoutMs, signal) {
    const started = subject.monotonic();
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await callHttp({
        peer: { host: subject.address, port: subject.port },
        method: 'GET',
        path: check.path,
        headers: {
          'user-agent': 'orkestr-health-check',
          accept: '*/*',
          ...(subject.host !== undefined && { host: subject.host }),
        },
        signal: AbortSignal.any([signal, deadline]),
      });
      // The status is enough; the body may be endless and is not read.
      answer.destroy();
      const { statusCode = 0 } = answer;
      const [lowest, highest] = check.status;
      const ok = statusCode >= lowest && statusCode <= highest;
      const expected = ok ? '' : `, expected ${lowest === highest ? lowest : `${lowest} to ${highest}`}`;
      const ms = Math.round(subject.monotonic() - started);
      return { ok, got: `HTTP ${statusCode} from GET ${check.path} in ${ms} ms${expected}` };
    } catch (error) {
      // A network error is this probe's result. Only an abort by the caller is thrown.
      signal.throwIfAborted();
      if (deadline.aborted) return { ok: false, got: `no answer to GET ${check.path} within ${timeoutMs} ms` };
      return { ok: false, got: `GET ${check.path}: ${trouble(error)}` };
    }
  },
};
