/** Real sockets at both ends of the proxy: a client and an upstream that send exactly the bytes a test gives them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import type { FlipAnswer, UpstreamView } from '../../../protocol/proxy-admin.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { systemClock } from '../../../proxy/clock.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS, readConfig } from '../../../proxy/config.ts';
import type { Limits, Timeouts } from '../../../proxy/config.ts';
import { viewUpstream } from '../../../proxy/control/view.ts';
import type { Plane } from '../../../proxy/plane.ts';
import { startProxy } from '../../../proxy/proxy.ts';
import type { Proxy } from '../../../proxy/proxy.ts';
import { until } from '../../harness/until.ts';

export function uuid(number: number): string {
  return `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, '0')}`;
}

/** Resolves when `holds` returns true. Rejects with `what` if that takes too long. */
export const eventually = (what: string, holds: () => boolean): Promise<void> => until(holds, what);

/** One connection, its bytes as latin1 text, and how it ended. */
export class Wire {
  readonly socket: Socket;
  received = '';
  /** `fin` or `reset` once the other side has ended. */
  ended: 'fin' | 'reset' | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.received += String(text);
    });
    socket.on('end', () => {
      this.ended ??= 'fin';
    });
    socket.on('error', () => {
      this.ended ??= 'reset';
    });
    socket.on('close', () => {
      this.ended ??= 'fin';
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  async sees(pattern: RegExp | string): Promise<string> {
    const found = (): boolean =>
      typeof pattern === 'string' ? this.received.includes(pattern) : pattern.test(this.received);
    await eventually(
      `${String(pattern)} in ${JSON.stringify(this.received.slice(0, 500))}`,
      () => found() || this.over,
    );
    if (!found()) throw new Error(`ended without ${String(pattern)}: ${JSON.stringify(this.received.slice(0, 500))}`);
    return this.received;
  }

  async end(): Promise<'fin' | 'reset'> {
    await eventually('the end of the connection', () => this.ended !== null);
    return this.ended ?? 'fin';
  }

  private get over(): boolean {
    return this.ended !== null;
  }
}

/** An upstream whose connections the test controls. */
export interface ScriptedUpstream {
  readonly port: number;
  readonly wires: Wire[];
  /** The connection with that index, once it exists. */
  wire(index: number): Promise<Wire>;
  close(): Promise<void>;
}

/** @param onConnection what to send on each connection; without it the test writes to the wires itself */
export async function scriptedUpstream(
  t: TestContext,
  onConnection: (wire: Wire, index: number) => void = () => undefined,
): Promise<ScriptedUpstream> {
  const wires: Wire[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const wire = new Wire(socket);
    wires.push(wire);
    onConnection(wire, wires.length - 1);
  });
  const port = await listen(server);
  const close = async (): Promise<void> => {
    for (const { socket } of wires) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  return {
    port,
    wires,
    close,
    wire: async (index) => {
      await eventually(`upstream connection ${index}`, () => wires.length > index);
      return wires[index] as Wire;
    },
  };
}

/** Answers each request head on a connection with the same bytes. */
export function answering(response: string): (wire: Wire) => void {
  return (wire) => {
    let answered = 0;
    wire.socket.on('data', () => {
      for (const heads = wire.received.split('\r\n\r\n').length - 1; answered < heads; answered += 1) {
        wire.send(response);
      }
    });
  };
}

/** Fields that an upstream received, by lower-case name. @param from how its request begins; default: the first */
export function fields(wire: Wire, from = ''): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  for (const line of wire.received.slice(wire.received.indexOf(from)).split('\r\n\r\n', 1)[0]?.split('\r\n').slice(1) ??
    []) {
    const [name = '', value = ''] = line.split(/: ?(.*)/s);
    seen.set(name.toLowerCase(), [...(seen.get(name.toLowerCase()) ?? []), value]);
  }
  return seen;
}

/** The rest of a request to the routed host, after method and target. */
export const HEAD = 'HTTP/1.1\r\nHost: app.test\r\n';
/** Fields that make a GET a WebSocket handshake, with the end of its head. */
export const UPGRADE_FIELDS =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n';
export const HANDSHAKE = `GET /ws ${HEAD}${UPGRADE_FIELDS}`;
export const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orkestr-proxy-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface Edge {
  readonly proxy: Proxy;
  readonly port: number;
  readonly folder: string;
  readonly adminSocket: string;
  /** Opens a raw connection to the listener. */
  connect(): Promise<Wire>;
  /** Sends one request in raw bytes on a new connection. */
  send(text: string): Promise<Wire>;
}

type EngineName = 'fast' | 'http-proxy';

const engines = new WeakMap<TestContext, EngineName>();

/** The engine under test in {@link testBoth}. */
export function engineOf(t: TestContext): EngineName {
  return engines.get(t) ?? 'fast';
}

/** Runs the same test with each engine: clients and targets must see no difference. */
export function testBoth(name: string, body: (t: TestContext) => Promise<void>): void {
  for (const engine of ['fast', 'http-proxy'] as const) {
    void test(`${name} (${engine})`, (t) => {
      engines.set(t, engine);
      return body(t);
    });
  }
}

/** A proxy in this process, on port 0 and with its own folder. */
export async function startEdge(
  t: TestContext,
  settings: {
    timeouts?: Partial<Timeouts>;
    limits?: Partial<Limits>;
    folder?: string;
    engine?: EngineName;
    workers?: number;
    /** Folder of certificates; adds a TLS listener. */
    certificates?: string;
    trusted?: readonly string[];
    proxyProtocol?: boolean;
  } = {},
): Promise<Edge> {
  const folder = settings.folder ?? (await temporaryFolder(t));
  const adminSocket = join(folder, 'admin.sock');
  const timeouts = { ...DEFAULT_TIMEOUTS, shutdownMs: 50, closeMs: 200, ...settings.timeouts };
  const limits = { ...DEFAULT_LIMITS, ...settings.limits };
  const listenOn = { host: '127.0.0.1', port: 0 };
  const config = {
    ...readConfig({}),
    listen: listenOn,
    listenTls: settings.certificates === undefined ? null : listenOn,
    certificates: settings.certificates ?? null,
    trusted: settings.trusted ?? [],
    proxyProtocol: settings.proxyProtocol ?? false,
    engine: settings.engine ?? engineOf(t),
    workers: settings.workers ?? 1,
    accessLog: 'off' as const,
    adminSocket,
    stateDirectory: join(folder, 'state'),
    logLevel: 'silent',
    timeouts,
    limits,
  };
  const proxy = await startProxy(config, { log: makeLogger('proxy', 'silent'), clock: systemClock });
  const wires: Wire[] = [];
  t.after(async () => {
    for (const { socket } of wires) socket.destroy();
    await proxy.close();
  });
  const port = proxy.addresses[0]?.port ?? 0;
  const connect = async (): Promise<Wire> => {
    const socket = createConnection(port, '127.0.0.1');
    await once(socket, 'connect');
    const wire = new Wire(socket);
    wires.push(wire);
    return wire;
  };
  return { proxy, port, folder, adminSocket, connect, send: async (text) => (await connect()).send(text) };
}

export function entryFor(port: number, changes: Partial<UpstreamEntry> = {}): UpstreamEntry {
  return {
    id: uuid(1),
    generation: 1,
    targets: [{ id: uuid(1001), address: '127.0.0.1', port }],
    routes: [{ host: 'app.test', pathPrefix: '/' }],
    edge: EdgeSettings.parse({}),
    ...changes,
  };
}

/** Routes app.test to a port, as generation 1. */
export function route(edge: Edge, port: number): Promise<FlipAnswer> {
  return edge.proxy.table.flip({ entry: entryFor(port), expectedGeneration: 0 });
}

/** The plane of a proxy that serves without workers. */
export function planeOf({ plane }: Pick<Proxy, 'plane'>): Plane {
  assert.ok(plane, 'this proxy serves by workers');
  return plane;
}

/** The first upstream as the admin API would show it now. */
export function viewOf({ proxy }: Pick<Edge, 'proxy'>): UpstreamView | undefined {
  const [entry] = proxy.table.entries;
  return entry && viewUpstream(entry, planeOf(proxy).counts(entry.id)[0] ?? null);
}

/** The counts of the only upstream. */
export function counts(edge: Edge): { failed: number; served: number; inFlight: number; targetFailed: number } {
  const upstream = viewOf(edge);
  const target = upstream?.targets[0];
  return {
    failed: upstream?.failed ?? -1,
    served: target?.requests.served ?? -1,
    targetFailed: target?.requests.failed ?? -1,
    inFlight: target?.inFlight ?? -1,
  };
}

/** The content of a chunked message, however it is split. @param chunks everything after its head */
export function dechunked(chunks: string): { readonly body: string; readonly trailers: string } {
  let body = '';
  let at = 0;
  for (;;) {
    const start = chunks.indexOf('\r\n', at) + 2;
    const size = Number.parseInt(chunks.slice(at, start), 16);
    if (!(size > 0)) return { body, trailers: chunks.slice(start) };
    body += chunks.slice(start, start + size);
    at = start + size + 2;
  }
}
