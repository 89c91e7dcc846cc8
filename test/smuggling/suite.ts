/** Runs the corpus against upstreams, each with its own proxies, several at a time. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Service } from '../../installer/stack/service.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { EngineName } from '../harness/edge-process.ts';
import { freePort } from '../harness/free-port.ts';
import { ClaimCounter } from './claims.ts';
import { hostGroups } from './corpus.ts';
import type { Message } from './corpus.ts';
import { SeenRequests } from './seen.ts';
import { tryMessages } from './trial.ts';
import type { Mismatch, Stage } from './trial.ts';
import type { Place, UpstreamKind } from './upstreams/upstream.ts';

/** Java needs some seconds on a busy machine. */
const START_MS = 60_000;
/** The host of the honest requests; routed even if the corpus does not name it. */
const HONEST_HOST = 'honest.test';

/** Messages sent together. If their counts differ, each is sent alone to find the culprit. */
const TOGETHER = 100;

interface Finding extends Mismatch {
  /** The messages responsible: one, or several that fail only together. */
  readonly files: readonly string[];
  readonly upstream: string;
  readonly engine: string;
}

interface SuiteOptions {
  readonly messages: readonly Message[];
  readonly upstreams: readonly UpstreamKind[];
  readonly engines: readonly EngineName[];
  /** Concurrent pairs of upstream and engine. */
  readonly atOnce: number;
  readonly say: (line: string) => void;
  /** Ends the suite early, with everything stopped. */
  readonly signal?: AbortSignal;
}

interface SuiteResult {
  /** Requests that reached an upstream, including the honest ones. */
  readonly forwarded: number;
  readonly mismatches: readonly Finding[];
}

/** @throws when an upstream does not start, or a proxy or an upstream ends */
export async function runSuite({
  messages,
  upstreams,
  engines,
  atOnce,
  say,
  signal,
}: SuiteOptions): Promise<SuiteResult> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-smuggling-'));
  const waiting = upstreams.flatMap((kind) => engines.map((engine) => ({ kind, engine })));
  const mismatches: Finding[] = [];
  let forwarded = 0;
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { kind, engine } = next;
      const result = await runPair(kind, engine, join(folder, `${kind.name}-${engine}`), messages, say, signal);
      forwarded += result.forwarded;
      mismatches.push(...result.mismatches);
      say(`${kind.name}, ${engine}: ${messages.length} messages, ${result.mismatches.length} mismatches`);
    }
  };
  try {
    const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
    for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason;
    return { forwarded, mismatches };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runPair(
  kind: UpstreamKind,
  engine: EngineName,
  folder: string,
  messages: readonly Message[],
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<SuiteResult> {
  // Apache's workers run unprivileged, and their files are below.
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const place = { folder, port: await freePort(), seenFile: join(folder, 'seen.log') };
  signal?.throwIfAborted();
  const server = await startUpstream(kind, place);
  try {
    const edge = await EdgeProcess.start({ name: `proxy of ${kind.name}`, folder: join(folder, 'edge'), engine });
    try {
      for (const entry of entries(messages, place.port)) await edge.flip({ entry, expectedGeneration: 0 });
      const stage = {
        edge,
        claims: new ClaimCounter(edge),
        kind,
        seen: new SeenRequests(place.seenFile),
        host: HONEST_HOST,
      };
      stage.seen.next();
      const mismatches: Finding[] = [];
      let forwarded = 0;
      for (let from = 0; from < messages.length; from += TOGETHER) {
        signal?.throwIfAborted();
        const result = await tryBatch(stage, messages.slice(from, from + TOGETHER));
        forwarded += result.forwarded;
        for (const found of result.found) {
          mismatches.push({ ...found, upstream: kind.name, engine });
          say(JSON.stringify(mismatches.at(-1)));
        }
        if (edge.running && server.running) continue;
        throw new Error(
          `the ${kind.name} or its proxy has ended:\n${(edge.running ? server : edge).lastLines().join('\n')}`,
        );
      }
      return { forwarded, mismatches };
    } finally {
      await edge.stop();
    }
  } finally {
    await server.stop(2000);
  }
}

interface BatchResult {
  readonly forwarded: number;
  readonly found: readonly (Mismatch & Pick<Finding, 'files'>)[];
}

async function tryBatch(stage: Stage, batch: readonly Message[]): Promise<BatchResult> {
  const { forwarded: together, mismatch } = await tryMessages(stage, batch);
  let forwarded = together;
  if (mismatch === null) return { forwarded, found: [] };
  const found = [];
  for (const message of batch) {
    const alone = await tryMessages(stage, [message]);
    forwarded += alone.forwarded;
    if (alone.mismatch !== null) found.push({ ...alone.mismatch, files: [message.file] });
  }
  const all = { ...mismatch, files: batch.map(({ file }) => file) };
  return { forwarded, found: found.length > 0 ? found : [all] };
}

async function startUpstream(kind: UpstreamKind, place: Place): Promise<Service> {
  const { argv, env, seenInOutput } = kind.command(place);
  const service = await Service.start({
    name: kind.name,
    argv,
    env: { ...process.env, ...env },
    logFile: seenInOutput ? place.seenFile : join(place.folder, 'output.log'),
  });
  for (const until = performance.now() + START_MS; !(await isListening(place.port)); await pause(50)) {
    if (service.running && performance.now() < until) continue;
    const lines = service.lastLines().join('\n');
    await service.stop(2000);
    throw new Error(`${kind.name} does not listen:\n${lines}`);
  }
  return service;
}

/** Routes for all hosts that the corpus names. */
function entries(messages: readonly Message[], port: number): UpstreamEntry[] {
  const groups = [[HONEST_HOST], ...hostGroups(messages.filter(({ bytes }) => !bytes.includes(HONEST_HOST)))];
  return groups.map((hosts, index) => entryFor(index, port, hosts));
}

function entryFor(number: number, port: number, hosts: readonly string[]): UpstreamEntry {
  return {
    id: uuid(number),
    generation: 1,
    targets: [{ id: uuid(1000 + number), address: '127.0.0.1', port }],
    routes: hosts.map((host) => ({ host, pathPrefix: '/' })),
    edge: EdgeSettings.parse({}),
  };
}

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, '0')}`;

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
