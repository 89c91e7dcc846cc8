/** `npm run fuzz:proxy`: grammar-based and mutating; both sides, both engines, HTTP/2, our parsers against node's. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { ROOT } from '../../installer/stack/stack.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { RequestHead } from '../../proxy/fast/head.ts';
import { RequestReader } from '../../proxy/fast/test-llhttp.ts';
import {
  answerInParts,
  answerSameToLlhttp,
  chunksInParts,
  headInParts,
  sameToLlhttp,
} from '../../proxy/fast/test-properties.ts';
import { ResponseHead } from '../../proxy/target/response-head.ts';
import { makeCertificate } from '../harness/certificates.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { EngineName } from '../harness/edge-process.ts';
import { exitCodeOf } from '../harness/script.ts';
import { Findings, readRecording } from './findings.ts';
import type { FuzzCase, H2Case, RequestCase, ResponseCase } from './findings.ts';
import { h2Cases } from './h2-cases.ts';
import { H2_ROUTES, H2Side } from './h2-side.ts';
import { REQUEST_ROUTES, requestCases, RequestSide } from './request-side.ts';
import { RESPONSE_HOST, responseCases, ResponseSide } from './response-side.ts';

const HELP = `npm run fuzz:proxy -- [options]
  --minutes N      how long (default 1)
  --seed N         repeat the same cases (default: from the clock)
  --engines A,B    some of: fast http-proxy (default both)
  --out DIR        where findings are written (default .orkestr/fuzz)
  --replay FILE    runs the cases of one finding
Prints each finding, and last a line of JSON. Exit code 1 when something was found.`;

/** Concurrent cases. */
const BATCH = 64;
/** Each with a TLS handshake. */
const H2_BATCH = 32;
/** Memory growth of the proxy in the second half that is no leak; in the first half V8's heap fills. */
const GROWTH_BYTES = 64 * 1024 * 1024;
/** V8 collects late when it may grow. With a small heap, growing memory is a leak, and ends in a crash. */
const SMALL_HEAP = '--max-old-space-size=96';
/** Runs of each property per round. */
const PROPERTY_RUNS = 2000;

interface Totals {
  requestCases: number;
  responseCases: number;
  h2Cases: number;
  propertyRuns: number;
  forwarded: number;
  answered: number;
}

interface Bed {
  /** Ends the run early, with everything stopped. */
  readonly stop: AbortSignal;
  readonly edge: EdgeProcess;
  readonly engine: EngineName;
  readonly requests: RequestSide;
  readonly responses: ResponseSide;
  readonly h2: H2Side;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      engines: { type: 'string', default: 'fast,http-proxy' },
      out: { type: 'string', default: join(ROOT, '.orkestr', 'fuzz') },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const findings = new Findings(values.out);
  const seed = Math.trunc(Number(values.seed));
  const stop = stopSignal();
  if (values.replay !== undefined) return replay(values.replay, findings, stop);
  const engines = values.engines
    .split(',')
    .filter((name): name is EngineName => name === 'fast' || name === 'http-proxy');
  const totals: Totals = { requestCases: 0, responseCases: 0, h2Cases: 0, propertyRuns: 0, forwarded: 0, answered: 0 };
  const rss: Record<string, { start: number; end: number }> = {};
  for (const engine of engines) {
    const until = performance.now() + (Number(values.minutes) * 60_000) / engines.length;
    rss[engine] = await withBed(engine, stop, (bed) => fuzz(bed, seed, until, totals, findings));
  }
  console.log(
    JSON.stringify({
      seed,
      engines,
      ...totals,
      findings: findings.count,
      kinds: findings.kinds,
      rssMB: rss,
      files: findings.files,
    }),
  );
  return findings.count === 0 ? 0 : 1;
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  return stop.signal;
}

async function fuzz(bed: Bed, seed: number, until: number, totals: Totals, findings: Findings) {
  const began = performance.now();
  const goesOn = (): boolean => bed.edge.running && performance.now() < until && !bed.stop.aborted;
  let start = 0;
  // The response cases mostly wait for time limits; the request cases use that time.
  const requests = async (): Promise<void> => {
    for (let round = seed; goesOn(); round += 1) {
      totals.forwarded += await runRequests(bed, requestCases(round, BATCH), findings);
      totals.requestCases += BATCH;
      if (bed.engine === 'fast' && (round - seed) % 8 === 0) await checkProperties(round, totals, findings);
      if (start === 0 && performance.now() > began + (until - began) / 2) start = bed.edge.residentBytes;
    }
  };
  const responses = async (): Promise<void> => {
    for (let round = seed; goesOn(); round += 1) {
      totals.answered += await runResponses(bed, responseCases(round, BATCH), findings);
      totals.responseCases += BATCH;
    }
  };
  const h2 = async (): Promise<void> => {
    for (let round = seed; goesOn(); round += 1) {
      totals.forwarded += await runH2(bed, h2Cases(round, H2_BATCH), findings);
      totals.h2Cases += H2_BATCH;
    }
  };
  // The HTTP/2 front is the same for both engines.
  await Promise.all([requests(), responses(), bed.engine === 'fast' ? h2() : null]);
  if (!bed.edge.running) return { start: 0, end: 0 };
  const end = bed.edge.residentBytes;
  if (start > 0 && end > start + GROWTH_BYTES)
    findings.add('memory growth', `${start} to ${end} bytes`, bed.engine, []);
  const open = await claimsLeft(bed.edge);
  if (open > 0) findings.add('a claim that does not end', `${open} in flight without a client`, bed.engine, []);
  return { start: Math.round(start / 2 ** 20), end: Math.round(end / 2 ** 20) };
}

/** Claims still in flight after their clients have been gone for longer than any limit of the routes. */
async function claimsLeft(edge: EdgeProcess): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    const targets = (await edge.table()).upstreams.flatMap((upstream) => upstream.targets);
    const open = targets.reduce((sum, { inFlight }) => sum + inFlight, 0);
    if (open === 0 || tries === 30) return open;
    await pause(100);
  }
}

async function runRequests(bed: Bed, cases: readonly RequestCase[], findings: Findings): Promise<number> {
  const forwarded = await bed.requests.run(bed.edge, bed.engine, cases, findings);
  noteCrash(bed, cases, findings);
  return forwarded;
}

async function runResponses(bed: Bed, cases: readonly ResponseCase[], findings: Findings): Promise<number> {
  const answered = await bed.responses.run(bed.edge, bed.engine, cases, findings);
  noteCrash(bed, cases, findings);
  return answered;
}

async function runH2(bed: Bed, cases: readonly H2Case[], findings: Findings): Promise<number> {
  const forwarded = await bed.h2.run(bed.edge, cases, findings);
  noteCrash(bed, cases, findings);
  return forwarded;
}

function noteCrash({ edge, engine }: Bed, cases: readonly FuzzCase[], findings: Findings): void {
  if (!edge.running) findings.add('crash', edge.lastLines().join('\n'), engine, cases);
}

/** Tests the parsers alone: a thousand times as many messages as through sockets. */
async function checkProperties(seed: number, totals: Totals, findings: Findings): Promise<void> {
  const settings = { seed, numRuns: PROPERTY_RUNS };
  const ignore = (): void => undefined;
  const results = [
    await fc.check(sameToLlhttp(new RequestReader(), ignore), settings),
    await fc.check(answerSameToLlhttp(ignore), settings),
    fc.check(headInParts(new RequestHead()), settings),
    fc.check(answerInParts(new ResponseHead()), settings),
    fc.check(chunksInParts(), settings),
  ];
  totals.propertyRuns += results.length * PROPERTY_RUNS;
  for (const result of results) {
    if (!result.failed) continue;
    const bytes = (result.counterexample as readonly unknown[] | null)?.find((part) => Buffer.isBuffer(part));
    const text = bytes?.toString('latin1') ?? '';
    findings.add('a parser differs', `${JSON.stringify(text)} ${String(result.errorInstance)}`, 'fast', [
      { side: 'request', bytes: text, parts: [] },
    ]);
  }
}

async function replay(file: string, findings: Findings, stop: AbortSignal): Promise<number> {
  const { what, engine, cases } = readRecording(file);
  console.log(what);
  await withBed(engine, stop, async (bed) => {
    await runRequests(
      bed,
      cases.filter((one): one is RequestCase => one.side === 'request'),
      findings,
    );
    const responses = cases.filter((one): one is ResponseCase => one.side === 'response');
    if (bed.edge.running) await runResponses(bed, responses, findings);
    const h2 = cases.filter((one): one is H2Case => one.side === 'h2');
    if (bed.edge.running) await runH2(bed, h2, findings);
  });
  console.log(JSON.stringify({ cases: cases.length, findings: findings.count, kinds: findings.kinds }));
  return findings.count === 0 ? 0 : 1;
}

async function withBed<T>(engine: EngineName, stop: AbortSignal, work: (bed: Bed) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-fuzz-'));
  const [requests, responses, h2] = [new RequestSide(), new ResponseSide(), new H2Side()];
  try {
    const [first, second, third] = [await requests.start(), await responses.start(), await h2.start()];
    const certificates = join(folder, 'certificates');
    mkdirSync(certificates, { mode: 0o700 });
    await makeCertificate(
      certificates,
      'h2.test',
      H2_ROUTES.map((name) => `DNS:${name}`),
    );
    const env = {
      NODE_OPTIONS: SMALL_HEAP,
      ORKESTR_PROXY_LISTEN_TLS: '127.0.0.1:0',
      ORKESTR_PROXY_CERTIFICATES: certificates,
    };
    const edge = await EdgeProcess.start({ name: 'proxy', folder, engine, env });
    try {
      await route(edge, 1, first, REQUEST_ROUTES);
      await route(edge, 2, second, [RESPONSE_HOST]);
      await route(edge, 3, third, H2_ROUTES);
      return await work({ edge, engine, stop, requests, responses, h2 });
    } finally {
      await edge.stop();
    }
  } finally {
    await Promise.all([requests.close(), responses.close(), h2.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Missing responses are given up after a second. */
async function route(edge: EdgeProcess, number: number, port: number, hosts: readonly string[]): Promise<void> {
  const id = (offset: number): string => `01890a5d-ac96-774b-bcce-${String(offset + number).padStart(12, '0')}`;
  const entry = {
    id: id(0),
    generation: 1,
    targets: [{ id: id(1000), address: '127.0.0.1', port }],
    routes: hosts.map((host) => ({ host, pathPrefix: '/' })),
    edge: EdgeSettings.parse({ responseSeconds: 1, idleSeconds: 1 }),
  };
  await edge.flip({ entry, expectedGeneration: 0 });
}

process.exitCode = await exitCodeOf(main);
