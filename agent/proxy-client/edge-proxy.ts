/** Client of the proxy's admin API (protocol/proxy-admin.ts) over its unix socket. */
import type { z } from 'zod';
import { OrkestrError, Problem } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';
import {
  CertificateList,
  DrainAnswer,
  EdgeAnswer,
  FlipAnswer,
  FlipReceipt,
  HandOverAnswer,
  HealthAnswer,
  HoldAnswer,
  RetryAnswer,
  TableView,
  UpstreamRemoved,
  WatchAnswer,
} from '../../protocol/proxy-admin.ts';
import type { HandOverRequest, RetryRequest } from '../../protocol/proxy-admin.ts';
import type { EdgeProxy } from '../deployment/ports.ts';
import { askHttp } from '../lib/http-call.ts';
import type { HttpAnswer } from '../lib/http-call.ts';

/** Deadline of a call that only changes or reads the table, ms. */
const CALL_MS = 10_000;
/** How much later than its own deadline a waiting call may respond, ms. */
const MARGIN_MS = 10_000;
/** How long the proxy gives its successor to start serving (docs/adr/0012), ms. */
const HAND_OVER_MS = 60_000;
/** Largest response that is read: the table of a few thousand upstreams. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly deadlineMs?: number;
  /** Aborts the wait for the response. */
  readonly signal?: AbortSignal;
}

interface ProxyClientOptions {
  /** Deadline of the short calls, ms. */
  readonly callMs?: number;
  readonly marginMs?: number;
}

/** The port EdgeProxy, and calls that only status and upgrades use. */
export interface ProxyClient extends EdgeProxy {
  health(): Promise<HealthAnswer>;
  /** @throws OrkestrError ORK_NOT_FOUND if the proxy requests no certificate for the host */
  retryCertificate(request: RetryRequest): Promise<RetryAnswer>;
  /** @throws OrkestrError ORK_PROXY_HAND_OVER: the current proxy continues to serve */
  handOver(request: HandOverRequest): Promise<HandOverAnswer>;
}

/**
 * A client of the proxy behind `socketPath`. One connection per call: the proxy may be another process each time, and
 * flips are rare.
 * @throws (each call) OrkestrError ORK_PROXY_UNREACHABLE if no valid response comes in time, else the proxy's own code
 */
export function makeProxyClient(socketPath: string, options: ProxyClientOptions = {}): ProxyClient {
  const { callMs = CALL_MS, marginMs = MARGIN_MS } = options;
  const call = async <T>(schema: z.ZodType<T>, { deadlineMs = callMs, ...request }: Call): Promise<T> => {
    const { status, text } = await exchange(socketPath, { ...request, deadlineMs });
    const body = parseJson(text);
    if (status >= 200 && status < 300) {
      const answer = schema.safeParse(body);
      if (answer.success) return answer.data;
      throw unreachable(`The proxy answered ${request.path} with something else than this agent knows.`);
    }
    throw refusal(status, body);
  };
  return {
    table: () => call(TableView, { method: 'GET', path: '/v1/table' }),
    flip: (request) => call(FlipAnswer, { method: 'POST', path: '/v1/flip', body: request }),
    flipBack: (request) => call(FlipAnswer, { method: 'POST', path: '/v1/flip-back', body: request }),
    edge: (request) => call(EdgeAnswer, { method: 'POST', path: '/v1/edge', body: request }),
    drain: (request, signal) =>
      call(DrainAnswer, {
        method: 'POST',
        path: '/v1/drain',
        body: request,
        signal,
        deadlineMs:
          (Math.max(request.deadlineSeconds, request.streamDeadlineSeconds) + request.spreadSeconds) * 1000 + marginMs,
      }),
    watch: (request, signal) =>
      call(WatchAnswer, {
        method: 'POST',
        path: '/v1/watch',
        body: request,
        signal,
        deadlineMs: request.seconds * 1000 + marginMs,
      }),
    hold: (request) => call(HoldAnswer, { method: 'POST', path: '/v1/hold', body: request }),
    resume: (request) => call(HoldAnswer, { method: 'POST', path: '/v1/resume', body: request }),
    receipt: (upstreamId) => call(FlipReceipt, { method: 'GET', path: `/v1/upstreams/${upstreamId}/receipt` }),
    certificates: () => call(CertificateList, { method: 'GET', path: '/v1/certificates' }),
    retryCertificate: (request) => call(RetryAnswer, { method: 'POST', path: '/v1/certificates/retry', body: request }),
    health: () => call(HealthAnswer, { method: 'GET', path: '/v1/health' }),
    handOver: (request) =>
      call(HandOverAnswer, {
        method: 'POST',
        path: '/v1/hand-over',
        body: request,
        deadlineMs: HAND_OVER_MS + marginMs,
      }),
    remove: (upstreamId) => call(UpstreamRemoved, { method: 'DELETE', path: `/v1/upstreams/${upstreamId}` }),
  };
}

async function exchange(
  socketPath: string,
  { deadlineMs, signal: given, ...call }: Call & { deadlineMs: number },
): Promise<HttpAnswer> {
  const signal = AbortSignal.any([AbortSignal.timeout(deadlineMs), ...(given ? [given] : [])]);
  try {
    return await askHttp({ ...call, peer: { socketPath }, signal }, MAX_ANSWER_BYTES);
  } catch (cause) {
    const why =
      cause instanceof Error && cause.name === 'TimeoutError' ? `no answer in ${deadlineMs} ms` : String(cause);
    throw unreachable(`The proxy behind ${socketPath} does not answer: ${why}.`, cause);
  }
}

const unreachable = (message: string, cause?: unknown): OrkestrError =>
  new OrkestrError('ORK_PROXY_UNREACHABLE', message, { cause });

function refusal(status: number, body: unknown): OrkestrError {
  const problem = Problem.safeParse(body);
  return problem.success
    ? new OrkestrError(problem.data.code, problem.data.detail, { evidence: problem.data.evidence })
    : unreachable(`The proxy answered with status ${status} and no problem document.`);
}
