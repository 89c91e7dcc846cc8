/** The serving side of a process alone; the test controls what surrounds it and sees what the observer is told. */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { systemClock } from '../../../proxy/clock.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../../proxy/config.ts';
import type { Limits, Timeouts } from '../../../proxy/config.ts';
import { FailureLog } from '../../../proxy/engine/failure-log.ts';
import { Edge } from '../../../proxy/listen/edge.ts';
import type { Ended } from '../../../proxy/observe/observer.ts';
import { Plane } from '../../../proxy/plane.ts';
import { ClientRates } from '../../../proxy/policy/client-rates.ts';
import { PasswordCheck } from '../../../proxy/policy/password-check.ts';
import { makeCompiler } from '../../../proxy/routing/compile.ts';
import type { Terminator } from '../../../proxy/tls/terminator.ts';
import { engineOf, entryFor, Wire } from './harness.ts';

/** An ended exchange, with its numbers as they were at its end. */
type Seen = Pick<
  Ended,
  'method' | 'target' | 'clientAddress' | 'secure' | 'status' | 'outcome' | 'bytesIn' | 'bytesOut' | 'engine'
> & { readonly routed: boolean; readonly claimed: boolean; readonly timed: boolean; readonly durationMs: number };

interface ServingEdge {
  readonly port: number;
  readonly plane: Plane;
  /** In the order in which they ended. */
  readonly seen: readonly Seen[];
  connect(): Promise<Wire>;
  send(text: string): Promise<Wire>;
  /** Serves app.test from a port of this host. */
  serve(port: number, edge?: Partial<EdgeSettings>, changes?: Partial<UpstreamEntry>): void;
}

interface ServingSettings {
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: Partial<Limits>;
  readonly trusted?: readonly string[];
  readonly proxyProtocol?: boolean;
  /** Open HTTP-01 challenges: token → body. */
  readonly challenges?: ReadonlyMap<string, string>;
}

export async function startServing(t: TestContext, settings: ServingSettings = {}): Promise<ServingEdge> {
  const seen: Seen[] = [];
  const observer = {
    upstream: () => ({ ended: (exchange: Ended) => void seen.push(copy(exchange, true)) }),
    unrouted: (exchange: Ended) => void seen.push(copy(exchange, false)),
    forget: () => undefined,
  };
  const timeouts = { ...DEFAULT_TIMEOUTS, closeMs: 200, shutdownMs: 50, ...settings.timeouts };
  const limits = { ...DEFAULT_LIMITS, ...settings.limits };
  const { challenges = new Map() } = settings;
  const clock = systemClock;
  const compile = makeCompiler(timeouts, {
    clock,
    hasCertificate: null,
    isOpenChallenge: (token) => challenges.has(token),
    httpsPort: 443,
    rates: new ClientRates(),
    passwords: new PasswordCheck(clock),
  });
  const plane = new Plane(clock, observer, compile);
  const context = {
    plane,
    observer,
    limits,
    timeouts,
    clock,
    failures: new FailureLog(makeLogger('proxy', 'silent'), clock),
    terminator: challenging(challenges),
    tableUnreadable: () => false,
  };
  const { trusted = [], proxyProtocol = false } = settings;
  const edge = new Edge(context, { engine: engineOf(t), trusted, proxyProtocol }, null);
  const { port } = await edge.listen({ host: '127.0.0.1', port: 0 });
  const wires: Wire[] = [];
  t.after(async () => {
    for (const { socket } of wires) socket.destroy();
    await edge.close();
  });
  const connect = async (): Promise<Wire> => {
    const socket = createConnection(port, '127.0.0.1');
    await once(socket, 'connect');
    const wire = new Wire(socket);
    wires.push(wire);
    return wire;
  };
  let generation = 0;
  return {
    port,
    plane,
    seen,
    connect,
    send: async (text) => (await connect()).send(text),
    serve: (target, some = {}, changes = {}) => {
      generation += 1;
      plane.put(entryFor(target, { generation, edge: { ...EdgeSettings.parse({}), ...some }, ...changes }));
    },
  };
}

function copy(exchange: Ended, routed: boolean): Seen {
  const { method, target, clientAddress, secure, status, outcome, bytesIn, bytesOut, engine, durationMs } = exchange;
  const told = { method, target, clientAddress, secure, status, outcome, bytesIn, bytesOut, engine, durationMs };
  return { ...told, routed, claimed: exchange.targetId !== null, timed: exchange.appMs > 0 };
}

/** TLS that serves only challenges. */
function challenging(challenges: ReadonlyMap<string, string>): Terminator {
  return {
    contextFor: () => null,
    challengeContextFor: () => null,
    httpChallenge: (token) => challenges.get(token) ?? null,
    covers: () => false,
    get challenging() {
      return challenges.size > 0;
    },
  };
}
