/** Event streams (Server-Sent Events) over HTTP/1.1 and HTTP/2. */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { nowMs } from '../clock.ts';
import type { Dialer } from './dialer.ts';
import type { Http2Way } from './http2-way.ts';
import type { End, Open, Opener } from './long-lived.ts';
import type { TallyBook } from './tally.ts';

const PATH = '/events';

/** Checks the events of one stream: their numbers must be consecutive. */
class EventReader {
  readonly #name: string;
  readonly #book: TallyBook;
  #text = '';
  #number = 0;

  constructor(name: string, book: TallyBook) {
    this.#name = name;
    this.#book = book;
  }

  read(part: Buffer): void {
    const events = (this.#text + part.toString('utf8')).split('\n\n');
    this.#text = events.pop() ?? '';
    for (const event of events) {
      this.#number += 1;
      if (event.startsWith(`id: ${this.#number}\n`)) continue;
      this.#book.note('failed', `${this.#name}: event ${this.#number} is ${JSON.stringify(event)}`);
    }
  }
}

const headersOf = (name: string): Record<string, string> => ({ 'x-asks': name, 'x-sent': String(nowMs()) });

/** Over HTTP/1.1 each has its own connection. A last chunk or FIN is a clean end; a reset is not. */
export function http1EventOpener(dialer: Dialer, tls: boolean, book: TallyBook): Opener {
  const name = `events, ${tls ? 'https' : 'http'}`;
  const open = (): Promise<Open> =>
    new Promise((resolve, reject) => {
      const headers = { ...headersOf(name), host: dialer.host };
      const createConnection = () => (tls ? dialer.dialTls('http/1.1') : dialer.dial());
      const req = request({ path: PATH, headers, createConnection }, (res) => {
        if (res.statusCode === 200) return resolve(openOf(req, res, new EventReader(name, book)));
        reject(new Error(`HTTP ${res.statusCode}`));
        req.destroy();
      });
      req.on('error', reject);
      req.end();
    });
  return { name, open };
}

function openOf(req: { destroy(): unknown }, res: IncomingMessage, reader: EventReader): Open {
  // Node reports to a response only that it was aborted; its socket knows whether by FIN or by a reset.
  let fin = false;
  res.socket.once('end', () => {
    fin = true;
  });
  res.on('data', (part: Buffer) => reader.read(part));
  const ended = new Promise<End>((resolve) => {
    let how = 'its last chunk';
    res.on('error', (error) => {
      how = fin ? 'FIN' : `a reset (${String(error)})`;
    });
    res.once('close', () => resolve({ clean: res.complete || fin, how }));
  });
  return { version: String(res.headers['x-version']), ended, end: () => void req.destroy() };
}

/** Over HTTP/2 they share connections. END_STREAM is a clean end. */
export function http2EventOpener(way: Http2Way, book: TallyBook): Opener {
  const name = 'events, h2';
  const open = (): Promise<Open> => {
    const [opened, ended] = [Promise.withResolvers<Open>(), Promise.withResolvers<End>()];
    const reader = new EventReader(name, book);
    way.send(
      { method: 'GET', path: PATH, headers: headersOf(name), patient: true },
      {
        head: (status, headers) => {
          const version = String(headers['x-version']);
          if (status === 200) opened.resolve({ version, ended: ended.promise, end: () => way.close() });
          else opened.reject(new Error(`HTTP ${status}`));
        },
        data: (part) => {
          reader.read(part);
          return 0;
        },
        end: () => ended.resolve({ clean: true, how: 'END_STREAM' }),
        error: (error) => {
          opened.reject(error);
          ended.resolve({ clean: false, how: error.message });
        },
      },
    );
    return opened.promise;
  };
  return { name, open };
}
