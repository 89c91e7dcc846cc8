/**
 * Hostile responses. A client gets the response as node's own parser reads it, or the proxy's 502, or a broken
 * connection: never part of a response as a whole one, and never anything from somebody else's.
 */
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { readResponse } from '../../proxy/fast/test-llhttp.ts';
import type { Reading } from '../../proxy/fast/test-llhttp.ts';
import { responseBytes } from '../../proxy/fast/test-messages.ts';
import type { EdgeProcess } from '../harness/edge-process.ts';
import type { Findings, ResponseCase } from './findings.ts';
import { StrictUpstream } from './strict-upstream.ts';

export const RESPONSE_HOST = 'responses.test';
/** The route's limits for responses are 1 s; an exchange that takes this long hangs. */
const HANG_MS = 10_000;
/** Body of a POST: more than a proxy has in flight when an early response arrives. */
const UPLOAD_BYTES = 300_000;

const OK = 'HTTP/1.1 200 OK\r\n';
const POISON = `${OK}X-Case: poison\r\nContent-Length: 6\r\n\r\npoison`;
/** Cases that the grammar does not generate. */
const SPECIAL = [
  '',
  'HTTP/1.1',
  'SSH-2.0-x\r\n',
  'poison',
  `${'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'.repeat(2000)}${OK}Content-Length: 2\r\n\r\nok`,
  `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2000)}${OK}Content-Length: 2\r\n\r\nok`,
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(20_000),
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\npoison',
  'HTTP/1.1 100 Continue\r\nContent-Length: 6\r\n\r\npoison',
  `${OK}X: ${'x'.repeat(15_000)}\r\nContent-Length: 2\r\n\r\nok`,
  `${OK}X: ${'x'.repeat(40_000)}\r\nContent-Length: 2\r\n\r\nok`,
  `${OK}X: ${'x'.repeat(3_000_000)}`,
  `${OK}${'A: b\r\n'.repeat(3000)}Content-Length: 2\r\n\r\nok`,
  `${OK}Content-Length: 2\r\n\r\nok${POISON}`,
  `${OK}Content-Length: 2\r\n\r\nok\r\n\r\n${POISON}`,
  `${OK}Content-Length: 2\r\n\r\nokpoison`,
  `${OK}Content-Length: 0\r\n\r\n${POISON}`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${POISON}`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\npoison`,
  `HTTP/1.1 204 No Content\r\n\r\n${POISON}`,
  `HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison`,
  `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison`,
  `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n`,
  `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok`,
  `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`,
  `${OK}Content-Length: 2\r\nContent-Length: 20\r\n\r\nok`,
  `${OK}Content-Length: 2, 2\r\n\r\nok`,
  `${OK}Content-Length: -2\r\n\r\nok`,
  `${OK}Content-Length: 99999999999999999999\r\n\r\nok`,
  `${OK}Content-Length: 9007199254740993\r\n\r\nok`,
  `${OK}Content-Length: 100\r\n\r\nonly a part`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n64\r\nonly a part`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(100_000)}\r\nok\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n0000000000000000000002\r\nok\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nok`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nokpoison\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n`,
  `${OK}Transfer-Encoding: identity\r\n\r\nok`,
  `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  `${OK}Connection: close\r\n\r\nto the end of the connection`,
  `${OK}Connection: Content-Length\r\nContent-Length: 2\r\n\r\nok`,
  `${OK}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  'HTTP/1.0 200 OK\r\n\r\nto the end of the connection',
  'HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok',
  'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n folded\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/2 200\r\ncontent-length: 2\r\n\r\nok',
];

const responseCase: fc.Arbitrary<ResponseCase> = fc.record({
  side: fc.constant('response' as const),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  bytes: fc.oneof(
    { weight: 3, arbitrary: responseBytes.map((bytes) => bytes.toString('latin1')) },
    { weight: 1, arbitrary: fc.constantFrom(...SPECIAL) },
    { weight: 1, arbitrary: responseBytes.map((bytes) => `${bytes.toString('latin1')}${POISON}`) },
  ),
  parts: fc.oneof(
    { weight: 2, arbitrary: fc.constant<number[]>([]) },
    fc.array(fc.nat({ max: 300 }), { maxLength: 4 }).map((places) => [...new Set(places)].toSorted((a, b) => a - b)),
  ),
  early: fc.boolean(),
  ending: fc.constantFrom('stay', 'fin', 'reset'),
});

/**
 * Poison is sent in one piece with whatever precedes it. Sent later, it would be a race that no proxy can win: the
 * connection may already carry the next request of this app.
 */
const inOnePiece = (one: ResponseCase): ResponseCase => (one.bytes.includes('poison') ? { ...one, parts: [] } : one);

export const responseCases = (seed: number, count: number): ResponseCase[] =>
  fc.sample(responseCase, { seed, numRuns: count }).map(inOnePiece);

interface Outcome {
  readonly status: number;
  readonly body: string;
  readonly caseName: string;
  readonly complete: boolean;
  readonly own: boolean;
  readonly hung: boolean;
}

const NOTHING: Outcome = { status: 0, body: '', caseName: '', complete: false, own: false, hung: false };

export class ResponseSide {
  readonly #scripts = new Map<string, ResponseCase>();
  readonly #faults: string[] = [];
  #upstream: StrictUpstream | null = null;
  #number = 0;

  async start(): Promise<number> {
    this.#upstream = await StrictUpstream.start({
      head: ({ target }, socket) => this.#say(target, socket, true),
      request: ({ target }, socket) => this.#say(target, socket, false),
      fault: (what, bytes) => this.#faults.push(`${what} in ${JSON.stringify(bytes.slice(0, 300))}`),
    });
    return this.#upstream.port;
  }

  async close(): Promise<void> {
    await this.#upstream?.close();
  }

  /** Runs cases concurrently. @returns responses that came through */
  async run(
    edge: EdgeProcess,
    engine: 'fast' | 'http-proxy',
    cases: readonly ResponseCase[],
    findings: Findings,
  ): Promise<number> {
    const passed = await Promise.all(cases.map((one) => this.#runOne(edge, engine, one, findings)));
    this.#scripts.clear();
    for (const fault of this.#faults) findings.add('stray bytes at the upstream', fault, engine, cases);
    this.#faults.length = 0;
    return passed.filter(Boolean).length;
  }

  async #runOne(
    edge: EdgeProcess,
    engine: 'fast' | 'http-proxy',
    one: ResponseCase,
    findings: Findings,
  ): Promise<boolean> {
    this.#number += 1;
    const name = `/case/${this.#number}`;
    this.#scripts.set(name, one);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const first = await ask(edge, agent, one.method, name);
      const clean = await ask(edge, agent, 'GET', `/clean/${this.#number}`);
      const expected = await readResponse(scriptBytes(one, name), one.method, one.ending === 'fin');
      const wrong = judge(first, clean, expected, name, `/clean/${this.#number}`);
      if (wrong !== null) findings.add(...wrong, engine, [one]);
      return first.complete && !first.own;
    } finally {
      agent.destroy();
    }
  }

  #say(target: string, socket: Socket, atHead: boolean): void {
    const script = this.#scripts.get(target);
    if (script === undefined) {
      if (!atHead) socket.write(`${OK}X-Case: ${target}\r\nContent-Length: 5\r\n\r\nclean`);
      return;
    }
    if (script.early === atHead) void say(script, scriptBytes(script, target), socket);
  }
}

/** The script with its name in it, so that a response shows whose it is. */
function scriptBytes({ bytes }: ResponseCase, name: string): Buffer {
  return Buffer.from(bytes.replace(/^(HTTP\/1\.[01] [2-9]\d\d[^\r\n]*\r\n)/, `$1X-Case: ${name}\r\n`), 'latin1');
}

async function say({ parts, ending }: ResponseCase, bytes: Buffer, socket: Socket): Promise<void> {
  const cuts = [...parts.filter((at) => at > 0 && at < bytes.length), bytes.length];
  for (const [index, end] of cuts.entries()) {
    if (index > 0) await immediate();
    if (socket.writable) socket.write(bytes.subarray(cuts[index - 1] ?? 0, end));
  }
  if (ending === 'fin') socket.end();
  // Lets the written bytes leave first.
  if (ending === 'reset') setTimeout(() => socket.resetAndDestroy(), 5);
}

function ask(edge: EdgeProcess, agent: Agent, method: string, path: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const req = request({ port: edge.port, host: '127.0.0.1', agent, method, path, headers: { host: RESPONSE_HOST } });
    const hang = setTimeout(() => {
      resolve({ ...NOTHING, hung: true });
      req.destroy();
    }, HANG_MS);
    const done = (outcome: Outcome): void => {
      clearTimeout(hang);
      resolve(outcome);
    };
    req.once('response', (response) => collect(response, done));
    // Broken off: the client knows that it has nothing.
    req.on('error', () => done(NOTHING));
    req.end(method === 'POST' ? Buffer.alloc(UPLOAD_BYTES, 'x') : undefined);
  });
}

function collect(response: IncomingMessage, done: (outcome: Outcome) => void): void {
  const body: Buffer[] = [];
  response.on('data', (part: Buffer) => body.push(part));
  response.on('error', () => undefined); // `complete` shows it
  response.once('close', () =>
    done({
      status: response.statusCode ?? 0,
      body: Buffer.concat(body).toString('latin1'),
      caseName: String(response.headers['x-case'] ?? ''),
      complete: response.complete,
      own: response.headers['x-content-type-options'] === 'nosniff' && String(response.statusCode).startsWith('5'),
      hung: false,
    }),
  );
}

/** @returns kind and description of the problem, or null */
function judge(
  first: Outcome,
  clean: Outcome,
  expected: Reading,
  name: string,
  cleanName: string,
): [string, string] | null {
  const detail = `client got ${JSON.stringify(first).slice(0, 400)}, llhttp reads ${JSON.stringify(expected).slice(0, 400)}`;
  if (first.hung || clean.hung) return ['hang', detail];
  if (isForeign(first, name)) return ['an answer of somebody else', detail];
  if (isForeign(clean, cleanName) || (isOfApp(clean) && clean.body !== 'clean')) {
    return ['an answer of somebody else', `to a clean request: ${JSON.stringify(clean).slice(0, 400)}`];
  }
  if (!isOfApp(first)) return null;
  const [reading] = expected.messages;
  if (!reading?.complete) return ['a part of an answer, given as a whole one', detail];
  if (reading.status !== first.status || reading.body !== first.body) return ['an answer was changed', detail];
  return null;
}

/** A whole response that is not one of the proxy's own pages. */
const isOfApp = ({ complete, own }: Outcome): boolean => complete && !own;

/** Where a script begins with poison, poison is a response like any other. */
const isForeign = ({ complete, caseName }: Outcome, name: string): boolean =>
  complete && caseName.startsWith('/') && caseName !== name;
