/** Probe `http`: a GET whose status lies in the expected range. Redirects are an answer, never followed. */
import { callHttp } from '../lib/http-call.ts';
import type { Probe } from './probe.ts';

/** What went wrong on the wire, in plain words, by the code of the error. */
const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the container could not be reached',
  ENETUNREACH: 'the container could not be reached',
  EPIPE: 'the connection was reset',
  HPE_HEADER_OVERFLOW: 'the answer had too many headers',
};
/** What Node tells of an end of the connection that came before the answer. */
const HUNG_UP = 'socket hang up';
/** Begins the codes of what Node's parser of HTTP refuses. */
const NOT_HTTP = 'HPE_';

/** Why an app gave no answer, in words for its owner. */
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
      // The status is the answer; the body may be endless and is not read.
      answer.destroy();
      const { statusCode = 0 } = answer;
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
    }
  },
};
