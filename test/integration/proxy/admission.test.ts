/** From the accepted connection until an engine has it: the limit per address, the PROXY protocol, the handshake. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { makeCertificate } from '../../harness/certificates.ts';
import { until } from '../../harness/until.ts';
import {
  answering,
  eventually,
  fields,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  temporaryFolder,
  testBoth,
} from './harness.ts';

/** How a balancer's bytes are divided into packets. */
type Packets = 'header and hello in one packet' | 'header and hello in many packets';

const BALANCER = { trusted: ['127.0.0.1/32'], proxyProtocol: true };
/** Cuts the header within its signature, length and addresses, and a ClientHello within its record's head. */
const PIECE_BYTES = 7;

/** An edge with a certificate for app.test, an app behind it, and the port of its TLS listener. */
async function startSecure(t: TestContext, settings: Parameters<typeof startEdge>[1]) {
  const folder = await temporaryFolder(t);
  const { cert } = await makeCertificate(folder, 'app.test', ['DNS:app.test']);
  const edge = await startEdge(t, { ...settings, certificates: folder });
  const app = await scriptedUpstream(t, answering(OK));
  await route(edge, app.port);
  return { edge, app, cert, port: edge.proxy.addresses.find(({ kind }) => kind === 'https')?.port ?? 0 };
}

/** A PROXY protocol header of version 2: PROXY, TCP over IPv4. */
function headerOf(client: string): Buffer {
  const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1');
  const addresses = [client, '192.0.2.1'].flatMap((address) => address.split('.').map(Number));
  return Buffer.concat([signature, Buffer.from([...addresses, 0xc3, 0x50, 0x01, 0xbb])]);
}

/** A connection through a balancer, which puts its header in front of the client's first bytes. */
class Balanced extends Duplex {
  readonly #socket: Socket;
  readonly #packets: Packets;
  #header: Buffer;

  constructor(port: number, client: string, packets: Packets) {
    super();
    this.#header = headerOf(client);
    this.#packets = packets;
    this.#socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes) => this.push(bytes));
    this.#socket.on('end', () => this.push(null));
    this.#socket.on('error', (error) => this.destroy(error));
    this.#socket.on('close', () => this.destroy());
  }

  override _read(): void {
    // The socket flows.
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const all = Buffer.concat([this.#header, bytes]);
    const isDivided = this.#header.length > 0 && this.#packets === 'header and hello in many packets';
    this.#header = Buffer.alloc(0);
    this.#send(all, isDivided ? PIECE_BYTES : all.length, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #send(bytes: Buffer, pieceBytes: number, done: (error?: Error | null) => void): void {
    const rest = bytes.subarray(pieceBytes);
    this.#socket.write(bytes.subarray(0, pieceBytes), (error) => {
      if (error || rest.length === 0) done(error);
      else setImmediate(() => this.#send(rest, pieceBytes, done));
    });
  }
}

/** Resolves once the handshake is done. @throws when the edge ends the connection instead */
async function shake(
  t: TestContext,
  { port, cert }: { readonly port: number; readonly cert: string },
  client: string,
  { packets, alpn }: { readonly packets: Packets; readonly alpn: 'h2' | 'http/1.1' },
): Promise<TLSSocket> {
  const socket = connect({
    socket: new Balanced(port, client, packets),
    ca: cert,
    servername: 'app.test',
    ALPNProtocols: [alpn],
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  assert.equal(socket.alpnProtocol, alpn);
  return socket;
}

for (const packets of ['header and hello in one packet', 'header and hello in many packets'] as const) {
  testBoth(`over TLS the app gets the client address that the balancer names: ${packets}`, async (t) => {
    const secure = await startSecure(t, BALANCER);
    const http1 = await shake(t, secure, '198.51.100.7', { packets, alpn: 'http/1.1' });
    http1.write(`GET /1 ${HEAD}\r\n`);
    await once(http1, 'data');
    const http2 = await shake(t, secure, '198.51.100.8', { packets, alpn: 'h2' });
    const session = connectHttp2('https://app.test', { createConnection: () => http2 });
    t.after(() => session.destroy());
    await once(session.request({ ':path': '/2' }).resume(), 'end');
    const received = secure.app.wires.map((wire) => wire.received).join('');
    const seen = ['GET /1 ', 'GET /2 '].map((from) => {
      const wire = secure.app.wires.find((one) => one.received.includes(from));
      assert.ok(wire, received);
      const sent = fields(wire, from);
      return [sent.get('x-forwarded-for'), sent.get('x-forwarded-proto')];
    });
    assert.deepEqual(seen, [
      [['198.51.100.7'], ['https']],
      [['198.51.100.8'], ['https']],
    ]);
  });
}

testBoth('over TLS the limit per address applies to clients, not to their balancer', async (t) => {
  const secure = await startSecure(t, { ...BALANCER, limits: { connectionsPerAddress: 2 } });
  const open = (client: string, alpn: 'h2' | 'http/1.1' = 'http/1.1'): Promise<TLSSocket> =>
    shake(t, secure, client, { packets: 'header and hello in one packet', alpn });
  await open('198.51.100.1');
  await open('198.51.100.1', 'h2');
  await assert.rejects(open('198.51.100.1'));
  await open('198.51.100.2');
});

testBoth(
  'a client that is silent, or stops within its hello, is closed when the time for the handshake is over',
  async (t) => {
    const { port } = await startSecure(t, { timeouts: { handshakeMs: 300 } });
    for (const begun of ['', '\x16\x03\x01\x02\x00\x01']) {
      const socket = connectTcp(port, '127.0.0.1').resume();
      t.after(() => socket.destroy());
      socket.on('error', () => undefined); // `close` follows
      socket.write(begun, 'latin1');
      await once(socket, 'close', { signal: AbortSignal.timeout(60_000) });
    }
  },
);

testBoth('a client without a balancer has its limit too, and its place is free once it has left', async (t) => {
  const edge = await startEdge(t, { limits: { connectionsPerAddress: 2 } });
  const app = await scriptedUpstream(t, answering(OK));
  await route(edge, app.port);
  const get = `GET / ${HEAD}\r\n`;
  const [first, second] = [await edge.send(get), await edge.send(get)];
  for (const wire of [first, second]) await wire.sees(/ok$/);
  const third = await edge.send(get);
  await third.end();
  assert.equal(third.received, '');
  second.send(get);
  await second.sees(/ok.*ok$/s);
  first.socket.destroy();
  // The edge learns of the end a moment later.
  await until(
    async () => {
      const next = await edge.send(get);
      await eventually('an answer or an end', () => next.received !== '' || next.ended !== null);
      return next.received.endsWith('ok');
    },
    'a client that has closed a connection may open another',
    { neverMs: 60_000 },
  );
});
