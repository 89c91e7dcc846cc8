/**
 * Hostile requests. What the upstream receives must be what node's own strict parser reads in the client's bytes, in
 * the same order; every whole message is answered or its connection closed; and the counts match.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import * as fc from 'fast-check';
import { RequestReader } from '../../proxy/fast/test-llhttp.ts';
import type { Reading } from '../../proxy/fast/test-llhttp.ts';
import { requestBytes } from '../../proxy/fast/test-messages.ts';
import type { EdgeProcess } from '../harness/edge-process.ts';
import type { Findings, RequestCase } from './findings.ts';
import { RecordingUpstream } from './recording-upstream.ts';
import type { StrictRequest } from './strict-upstream.ts';

/** Hosts of cases are `c<number>.` followed by this. */
const DOMAIN = 'requests.test';
export const REQUEST_ROUTES = [`*.${DOMAIN}`];
/** Without a response for this long after the last one, or after the last byte sent, nothing more is expected. */
const QUIET_MS = 25;
/** An incomplete message gets no response; no wait is longer than this. */
const INCOMPLETE_MS = 150;
/** A whole message is answered within this time, or the proxy hangs. */
const HANG_MS = 8000;

const requestCase: fc.Arbitrary<RequestCase> = fc
  .tuple(
    requestBytes,
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(fc.nat({ max: 400 }), { maxLength: 5 })),
  )
  .map(([bytes, parts]) => ({ side: 'request', bytes: bytes.toString('latin1'), parts: partsOf(parts, bytes.length) }));

const partsOf = (places: readonly number[], length: number): number[] =>
  [...new Set(places.filter((place) => place > 0 && place < length))].toSorted((a, b) => a - b);

export const requestCases = (seed: number, count: number): RequestCase[] =>
  fc.sample(requestCase, { seed, numRuns: count });

/** What is examined of a case after its run. */
interface Run {
  readonly case: RequestCase;
  readonly host: string;
  readonly bytes: Buffer;
  readonly expected: Reading;
  received: string;
  closed: boolean;
  hung: boolean;
}

export class RequestSide {
  readonly #reader = new RequestReader();
  readonly #upstream = new RecordingUpstream((request, socket) => this.#answer(request, socket));
  #number = 0;

  /** @returns the port of its upstream */
  start(): Promise<number> {
    return this.#upstream.start();
  }

  close(): Promise<void> {
    return this.#upstream.close();
  }

  /** Runs cases concurrently, each on its own connection. @returns requests that reached the upstream */
  async run(
    edge: EdgeProcess,
    engine: 'fast' | 'http-proxy',
    cases: readonly RequestCase[],
    findings: Findings,
  ): Promise<number> {
    const runs: Run[] = [];
    for (const one of cases) runs.push(await this.#prepare(one));
    await Promise.all(runs.map((run) => send(edge, run)));
    await pause(QUIET_MS);
    const { seen: asked, strays } = this.#upstream;
    let forwarded = 0;
    for (const run of runs) {
      const seen = asked.get(run.host) ?? [];
      forwarded += seen.length;
      const wrong = judge(run, seen);
      if (wrong !== null) findings.add(...wrong, engine, [run.case]);
      asked.delete(run.host);
    }
    for (const host of asked.keys()) strays.push(`a request for ${host}, which no client has sent`);
    for (const stray of strays) findings.add('stray bytes at the upstream', stray, engine, cases);
    this.#upstream.forget();
    return forwarded;
  }

  /** The case with its own host, and what node reads in it. */
  async #prepare(one: RequestCase): Promise<Run> {
    this.#number += 1;
    const host = `c${this.#number}.${DOMAIN}`;
    const text = one.bytes.replaceAll(/(host:[ \t]*)a(?![A-Za-z0-9.@-])/gi, `$1${host}`);
    const bytes = Buffer.from(text.replaceAll('http://a/', `http://${host}/`), 'latin1');
    return {
      case: one,
      host,
      bytes,
      expected: await this.#reader.read(bytes),
      received: '',
      closed: false,
      hung: false,
    };
  }

  #answer(request: StrictRequest, socket: Socket): void {
    const host = request.host.replace(/:\d*$/, '').toLowerCase();
    const line = described(request.method, request.target, request.body);
    this.#upstream.record(host, line);
    const body = request.method === 'HEAD' ? '' : 'ok';
    const saw = Buffer.from(line, 'latin1').toString('base64url');
    socket.write(`HTTP/1.1 200 OK\r\nX-Saw: ${saw}\r\nContent-Length: 2\r\n\r\n${body}`, 'latin1');
  }
}

/** A request in one line. Absolute targets are rewritten as the proxy does it. */
function described(method: string, target: string, body: string): string {
  const origin = target.replace(/^http:\/\/[^/?#]*/i, '');
  return `${method} ${origin.startsWith('/') ? origin : `/${origin}`} ${JSON.stringify(body)}`;
}

async function send(edge: EdgeProcess, run: Run): Promise<void> {
  const socket = createConnection({ port: edge.port, host: '127.0.0.1', noDelay: true });
  let last = performance.now();
  socket.on('data', (bytes) => {
    run.received += bytes.toString('latin1');
    last = performance.now();
  });
  socket.on('error', () => undefined); // its `close` is what counts
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const cuts = [...run.case.parts.filter((at) => at < run.bytes.length), run.bytes.length];
  for (const [index, end] of cuts.entries()) {
    if (index > 0) await immediate();
    socket.write(run.bytes.subarray(cuts[index - 1] ?? 0, end));
  }
  const wanted = run.expected.messages.filter(({ complete }) => complete).length;
  for (const began = performance.now(); !socket.closed;) {
    await Promise.race([closed, pause(QUIET_MS)]);
    await immediate();
    const [waited, quiet] = [performance.now() - began, performance.now() - last];
    const answered = finalAnswers(run.received) >= wanted;
    run.hung = !answered && waited > HANG_MS;
    if (run.hung || (answered && quiet > (run.received === '' ? INCOMPLETE_MS : QUIET_MS))) break;
  }
  run.closed = socket.closed;
  socket.destroy();
}

const finalAnswers = (received: string): number => (received.match(/HTTP\/1\.1 [2-5]\d\d /g) ?? []).length;

/** @returns kind and description of the problem, or null */
function judge({ expected, received, hung, closed }: Run, seen: readonly string[]): [string, string] | null {
  const whole = expected.messages
    .filter(({ complete }) => complete)
    .map(({ method, target, body }) => described(method, target, body));
  const readings = `upstream saw ${JSON.stringify(seen)}, llhttp reads ${JSON.stringify(whole)} (${expected.error ?? 'no error'})`;
  if (hung && !closed) return ['hang', readings];
  // Pipelined requests may reach the app in another order; their responses may not.
  if (!isSubsequence(seen.toSorted(), whole.toSorted())) return ['the upstream saw another request', readings];
  const answers = [...received.matchAll(/\r\nX-Saw: ([\w-]+)\r\n/gi)].map(([, saw = '']) =>
    Buffer.from(saw, 'base64url').toString('latin1'),
  );
  if (!isSubsequence(answers, whole))
    return ['an answer to another request', `${readings}, answered ${JSON.stringify(answers)}`];
  return null;
}

/** Whether all lines of `part` are in `all`, in that order. */
function isSubsequence(part: readonly string[], all: readonly string[]): boolean {
  let at = 0;
  for (const line of all) if (line === part[at]) at += 1;
  return at === part.length;
}
