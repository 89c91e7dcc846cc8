/** TLS over a connection that passes on the server's writes only when told to, like a slow reader. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { makeCertificate } from '../../harness/certificates.ts';
import { eventually, temporaryFolder } from './harness.ts';

/** One end of a connection. */
class Gated extends Duplex {
  peer: Duplex | null = null;
  isOpen = true;
  readonly #waiting: (() => void)[] = [];

  override _read(): void {
    return;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const pass = (): void => {
      this.peer?.push(chunk);
      callback();
    };
    if (this.isOpen) pass();
    else this.#waiting.push(pass);
  }

  override _final(callback: () => void): void {
    this.peer?.push(null);
    callback();
  }

  /** Lets one write pass. */
  step(): void {
    this.#waiting.shift()?.();
  }

  /** Lets all pending and future writes pass. */
  open(): void {
    this.isOpen = true;
    while (this.#waiting.length > 0) this.step();
  }
}

/** Both ends after the handshake, and the gate in front of the client. */
export async function gatedTls(
  t: TestContext,
  protocol = 'http/1.1',
): Promise<{ readonly client: TLSSocket; readonly server: TLSSocket; readonly gate: Gated }> {
  const { cert, key } = await makeCertificate(await temporaryFolder(t), 'app.test', ['DNS:app.test']);
  const [near, gate] = [new Gated(), new Gated()];
  near.peer = gate;
  gate.peer = near;
  const secureContext = createSecureContext({ cert, key });
  const server = new TLSSocket(gate, { isServer: true, secureContext, ALPNProtocols: [protocol] });
  const client = connect({ socket: near, ca: cert, servername: 'app.test', ALPNProtocols: [protocol] });
  t.after(() => [client, server].forEach((socket) => socket.destroy()));
  await once(client, 'secureConnect');
  await eventually('all is quiet', () => server.writableLength === 0);
  return { client, server, gate };
}
