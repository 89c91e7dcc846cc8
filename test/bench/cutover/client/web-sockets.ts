/** WebSockets that exchange messages now and then. */
import { WebSocket } from 'ws';
import { nowMs } from '../clock.ts';
import type { Dialer } from './dialer.ts';
import type { End, Open, Opener } from './long-lived.ts';
import type { TallyBook } from './tally.ts';

/** Longest wait for a WebSocket to open, ms. */
const OPEN_MS = 10_000;
/** A WebSocket sends a message this often and expects it back before the next, ms. */
const ECHO_MS = 4_000;

/** Close code 1001 (RFC 6455 section 7.4.1, going away) is a clean end. */
export function webSocketOpener(dialer: Dialer, tls: boolean, book: TallyBook): Opener {
  const url = `${tls ? 'wss' : 'ws'}://${dialer.host}/socket`;
  const name = `WebSocket, ${tls ? 'wss' : 'ws'}`;
  const open = async (): Promise<Open> => {
    const options = {
      headers: { 'x-sent': String(nowMs()) },
      createConnection: () => (tls ? dialer.dialTls('http/1.1') : dialer.dial()),
      perMessageDeflate: false,
      handshakeTimeout: OPEN_MS,
    };
    const socket = new WebSocket(url, options);
    const opened = Promise.withResolvers<string>();
    let awaited = '';
    let count = 0;
    const talk = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (awaited !== '') book.note('failed', `${name}: ${awaited} did not come back`);
      awaited = `echo ${(count += 1)}`;
      socket.send(awaited);
    }, ECHO_MS);
    socket.on('message', (data) => {
      const text = (data as Buffer).toString('utf8');
      if (text.startsWith('version ')) opened.resolve(text.slice('version '.length));
      else if (text === awaited) awaited = '';
      else book.note('failed', `${name}: ${text} came instead of ${awaited}`);
    });
    const closed = new Promise<End>((resolve) => {
      let error = '';
      socket.on('error', (fault) => {
        error = ` (${String(fault)})`;
        opened.reject(fault);
      });
      socket.on('close', (code) => {
        clearInterval(talk);
        opened.reject(new Error(`closed with ${code} before a word`));
        resolve({ clean: code === 1001, how: `close code ${code}${error}` });
      });
    });
    return { version: await opened.promise, ended: closed, end: () => socket.terminate() };
  };
  return { name, open };
}
