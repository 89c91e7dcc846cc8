/**
 * Messages through the proxy to one upstream: each is sent unchanged on its own connection, then honest requests
 * follow. Afterwards three counts must match: requests that the upstream understood, requests that the proxy believes
 * it has forwarded, and responses received. The honest requests would meet whatever a message left behind on a pooled
 * connection.
 */
import { createConnection } from 'node:net';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import type { EdgeProcess } from '../harness/edge-process.ts';
import { countAnswers } from './answers.ts';
import type { Answers } from './answers.ts';
import { minus } from './claims.ts';
import type { ClaimCounter, Claims } from './claims.ts';
import type { Message } from './corpus.ts';
import type { SeenRequests } from './seen.ts';
import type { UpstreamKind } from './upstreams/upstream.ts';

/** How long to wait for messages. */
interface Pace {
  /** After a response, with nothing in flight: no other is expected. */
  readonly quietMs: number;
  /** Silence after which a request in flight, or a message without a response, counts as incomplete. */
  readonly incompleteMs: number;
}

/**
 * From quick to patient. On a busy machine a client may disconnect at the very moment it is answered, and that response
 * cannot be told from a lost one; but a truly lost response is lost at any pace.
 */
const PACES: readonly Pace[] = [
  { quietMs: 20, incompleteMs: 250 },
  { quietMs: 200, incompleteMs: 2000 },
  { quietMs: 500, incompleteMs: 8000 },
];

/** A request that was given up and has not been recorded after this long will not be. */
const LATE_MS = 250;
/** Only a claim that never ends, or an upstream that lost a request, takes this long. */
const PATIENCE_MS = 10_000;

const HONEST_PATH = '/honest-request';
/** Honest requests are sent all at once too, so that they use many of the pooled connections. */
const MESSAGES_PER_HONEST = 4;

export interface Stage {
  readonly edge: EdgeProcess;
  readonly claims: ClaimCounter;
  readonly kind: UpstreamKind;
  readonly seen: SeenRequests;
  /** A host that is routed to the upstream. */
  readonly host: string;
}

export interface Mismatch {
  readonly wrong: string;
  /** False when the suite may have been too quick to receive all responses. */
  readonly certain: boolean;
  /** Requests that the upstream understood. */
  readonly seen: readonly string[];
  readonly claims: Claims;
  readonly answers: Answers;
}

interface TrialResult {
  readonly forwarded: number;
  readonly mismatch: Mismatch | null;
}

/** Sends all messages at once; repeats that with more patience until the result is certain. */
export async function tryMessages(stage: Stage, messages: readonly Message[]): Promise<TrialResult> {
  let forwarded = 0;
  let mismatch: Mismatch | null = null;
  for (const pace of PACES) {
    const result = await tryAt(stage, messages, pace);
    forwarded += result.forwarded;
    ({ mismatch } = result);
    if (mismatch === null || mismatch.certain) break;
  }
  return { forwarded, mismatch };
}

async function tryAt(stage: Stage, messages: readonly Message[], pace: Pace): Promise<TrialResult> {
  const before = await stage.claims.now();
  const received = await Promise.all(messages.map(({ bytes }) => exchange(stage, bytes, pace)));
  const { inFlight } = await stage.claims.atRest(PATIENCE_MS);
  const honest = Buffer.from(`GET ${HONEST_PATH} HTTP/1.1\r\nHost: ${stage.host}\r\nConnection: close\r\n\r\n`);
  const count = Math.ceil(messages.length / MESSAGES_PER_HONEST);
  const echoed = await Promise.all(Array.from({ length: count }, () => exchange(stage, honest, null)));
  const claims = minus(await stage.claims.atRest(PATIENCE_MS), before);
  const answers = sumOf([...received, ...echoed].map(countAnswers));
  const seen = await seenRequests(stage, claims, answers);
  const forwarded = claims.served + claims.failed + claims.abandoned;
  const expected = { honest: count, forwarded };
  const stuck = inFlight > 0 ? `${inFlight} claims stay in flight without their clients` : null;
  const surplus = stuck ?? tooMuch(stage.kind, seen, answers, expected);
  const wrong = surplus ?? tooLittle(stage.kind, seen, answers, claims.served);
  return { forwarded, mismatch: wrong === null ? null : { wrong, certain: surplus !== null, seen, claims, answers } };
}

const sumOf = (all: readonly Answers[]): Answers => ({
  fromApp: all.reduce((sum, { fromApp }) => sum + fromApp, 0),
  fromServer: all.reduce((sum, { fromServer }) => sum + fromServer, 0),
  fromProxy: all.reduce((sum, { fromProxy }) => sum + fromProxy, 0),
});

/** @returns what exceeds the expectation, or null */
function tooMuch(
  kind: UpstreamKind,
  seen: readonly string[],
  answers: Answers,
  expected: { readonly honest: number; readonly forwarded: number },
): string | null {
  const { honest, forwarded } = expected;
  const understood = understoodOf(kind, seen, answers);
  if (understood > forwarded) return `the upstream understood ${understood} requests, ${forwarded} were forwarded`;
  const answered = answers.fromApp + answers.fromServer;
  if (answered > forwarded) return `${answered} answers came for ${forwarded} forwarded requests`;
  const came = seen.filter((line) => line === `GET ${HONEST_PATH}`).length;
  return came === honest ? null : `of ${honest} honest requests ${came} came through`;
}

/** @returns what is missing, or null */
function tooLittle(kind: UpstreamKind, seen: readonly string[], answers: Answers, served: number): string | null {
  const understood = understoodOf(kind, seen, answers);
  if (understood < served) return `${served} requests were served, the upstream understood ${understood}`;
  const answered = answers.fromApp + answers.fromServer;
  return answered < served ? `${served} requests were served with ${answered} answers` : null;
}

const understoodOf = (kind: UpstreamKind, seen: readonly string[], { fromServer }: Answers): number =>
  seen.length + (kind.refusesUnseen ? fromServer : 0);

/**
 * Sends bytes and returns the responses, until the other side closes or no more is expected.
 * @param pace null for a request that is certainly answered and closed
 */
async function exchange({ edge, claims }: Stage, bytes: Buffer, pace: Pace | null): Promise<string> {
  const socket = createConnection({ port: edge.port, host: '127.0.0.1', noDelay: true });
  const received: Buffer[] = [];
  let last = performance.now();
  socket.on('data', (part) => {
    received.push(part);
    last = performance.now();
  });
  // A reset is a valid result too: the counts decide.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(bytes);
  try {
    const began = performance.now();
    while (!socket.closed && performance.now() - began < PATIENCE_MS) {
      // The pending timer must not keep the process alive.
      await Promise.race([closed, pause(pace?.quietMs ?? PATIENCE_MS, undefined, { ref: false })]);
      const quiet = performance.now() - last;
      // Without any response the proxy may not even have read the message.
      if (pace === null || quiet < (received.length > 0 ? pace.quietMs : pace.incompleteMs)) continue;
      const { inFlight } = await claims.now();
      // Receives what was in flight when the proxy was asked. Timers run before sockets, immediates after them.
      await pause(5);
      await immediate();
      if (performance.now() - last >= quiet && (inFlight === 0 || quiet > pace.incompleteMs)) break;
    }
  } finally {
    socket.destroy();
  }
  return Buffer.concat(received).toString('latin1');
}

/**
 * The requests recorded, once all required ones are there. Requests that were given up may be recorded late or never:
 * they get some time, so that they do not count towards the next messages.
 */
async function seenRequests({ seen, kind }: Stage, claims: Claims, answers: Answers): Promise<string[]> {
  const lines = seen.next();
  const unseen = kind.refusesUnseen ? answers.fromServer : 0;
  const until = performance.now() + PATIENCE_MS / 5;
  let last = performance.now();
  for (;;) {
    const now = performance.now();
    if (lines.length >= claims.served + claims.failed + claims.abandoned - unseen || now > until) return lines;
    if (lines.length >= claims.served - unseen && now - last > LATE_MS) return lines;
    await pause(5);
    const more = seen.next();
    if (more.length > 0) last = performance.now();
    lines.push(...more);
  }
}
