/** The client of the bench, in a separate process, so that its cost is not the proxy's. */
import { Payload } from '../app/payload.ts';
import type { Retired } from '../flipper.ts';
import { serveCommands } from '../worker.ts';
import { Dialer } from './dialer.ts';
import type { Destination } from './dialer.ts';
import { Load } from './load.ts';
import { http1EventOpener, http2EventOpener } from './event-streams.ts';
import { Http2Way } from './http2-way.ts';
import { LongLived } from './long-lived.ts';
import type { Opener } from './long-lived.ts';
import { TallyBook } from './tally.ts';
import type { Phase, Tally } from './tally.ts';
import { webSocketOpener } from './web-sockets.ts';

export type ClientCommands = {
  /** Opens WebSockets and event streams; answers when all are open. */
  open: { given: { destination: Destination; webSockets: number; eventStreams: number }; answer: null };
  load: { given: { destination: Destination; rps: number }; answer: null };
  /** The phase that latencies belong to from here on. */
  phase: { given: Phase; answer: null };
  retired: { given: Retired; answer: null };
  /** Ends the load once all responses have arrived. */
  finish: { given: null; answer: Tally };
};

if (import.meta.main) {
  const book = new TallyBook();
  const longLived = new LongLived(book);
  const loads: Load[] = [];
  serveCommands<ClientCommands>({
    open: async ({ destination, webSockets, eventStreams }) => {
      const dialer = new Dialer(destination);
      const ways = dialer.hasTls ? [false, true] : [false];
      await keepEach(
        ways.map((tls) => webSocketOpener(dialer, tls, book)),
        webSockets,
      );
      const overHttp1 = ways.map((tls) => http1EventOpener(dialer, tls, book));
      const overHttp2 = dialer.hasTls ? [http2EventOpener(new Http2Way(dialer), book)] : [];
      await keepEach([...overHttp1, ...overHttp2], eventStreams);
      return null;
    },
    load: ({ destination, rps }) => {
      const load = new Load(new Dialer(destination), new Payload(), book);
      loads.push(load);
      load.start(rps);
      return null;
    },
    phase: (phase) => {
      book.phase = phase;
      return null;
    },
    retired: (retired) => {
      longLived.retired(retired);
      return null;
    },
    finish: async () => {
      await Promise.all(loads.map((load) => load.finish()));
      longLived.finish();
      return book.read();
    },
  });

  /** Distributes `count` among the openers. */
  async function keepEach(openers: readonly Opener[], count: number): Promise<void> {
    const share = (index: number): number => Math.floor((count + index) / openers.length);
    await Promise.all(openers.map((opener, index) => longLived.keep(opener, share(index))));
  }
}
