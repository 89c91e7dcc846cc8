/** Handshakes of the TLS listeners. */
import type { Server, TLSSocket } from 'node:tls';
import type { Collect } from './metrics.ts';
import { counter } from './snapshot.ts';

/** Values of TLSSocket.getProtocol() to expect; anything else counts as `other`. */
const PROTOCOLS = ['TLSv1.3', 'TLSv1.2', 'other'] as const;

export class TlsMetrics {
  readonly #full = new Map<string, number>();
  readonly #resumed = new Map<string, number>();
  #failed = 0;

  /** Counts a server's handshakes for as long as it lives. */
  watch(server: Server): void {
    const done = (socket: TLSSocket): void => {
      const counts = socket.isSessionReused() ? this.#resumed : this.#full;
      const protocol = PROTOCOLS.find((known) => known === socket.getProtocol()) ?? 'other';
      counts.set(protocol, (counts.get(protocol) ?? 0) + 1);
    };
    const failed = (): void => {
      this.#failed += 1;
    };
    server.on('secureConnection', done);
    server.on('tlsClientError', failed);
  }

  readonly collect: Collect = () => {
    const handshakes = PROTOCOLS.flatMap((protocol) => [
      [{ protocol, resumed: 'no' }, this.#full.get(protocol) ?? 0] as const,
      [{ protocol, resumed: 'yes' }, this.#resumed.get(protocol) ?? 0] as const,
    ]);
    return [
      counter('orkestr_proxy_tls_handshakes_total', 'Handshakes that were completed.', handshakes),
      counter('orkestr_proxy_tls_failed_total', 'Handshakes that were not.', this.#failed),
    ];
  };
}
