/** WebSockets and event streams that stay open, and come back when they were closed. */
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { nowMs } from '../clock.ts';
import type { Retired } from '../flipper.ts';
import type { TallyBook } from './tally.ts';
import type { Answer, Destination, Way } from './ways.ts';

/** Connections that are being opened at once. */
const OPENING_AT_ONCE = 40;
/** Longest wait for a WebSocket to open, ms. */
const OPEN_MS = 10_000;
/** A WebSocket sends a message this often and wants it back before the next, ms. */
const ECHO_MS = 4_000;
/** Rest before a client comes back, ms: at most this. */
const COMES_BACK_MS = 50;
/** How much earlier than announced a close may be seen: two processes round their timers, ms. */
const EARLY_MS = 5;

/** One connection that is open. */
interface Open {
  readonly version: string;
  /** Resolves when it ends: cleanly, as its protocol has it, or not. */
  readonly ended: Promise<{ readonly clean: boolean; readonly how: string }>;
  end(): void;
}

export interface Opener {
  readonly name: string;
  open(): Promise<Open>;
}

export class LongLived {
  readonly #book: TallyBook;
  /** Version → from when on its connections may be closed. */
  readonly #closesFrom = new Map<string, number>();
  readonly #open = new Set<Open>();
  #over = false;

  constructor(book: TallyBook) {
    this.#book = book;
  }

  /** Opens `count` connections, and keeps so many open from then on. */
  async keep(opener: Opener, count: number): Promise<void> {
    const first = Array.from({ length: count }, () => Promise.withResolvers<void>());
    let next = 0;
    const openSome = async (): Promise<void> => {
      while (next < first.length) {
        const turn = first[next++];
        void this.#keepOne(opener, () => turn?.resolve());
        await turn?.promise;
      }
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome));
  }

  retired({ version, closesFrom }: Retired): void {
    this.#closesFrom.set(version, closesFrom);
  }

  /** Ends all of them, which is nobody's fault. */
  finish(): void {
    this.#over = true;
    for (const open of this.#open) open.end();
  }

  async #keepOne(opener: Opener, opened: () => void): Promise<void> {
    const { name } = opener;
    while (!this.#over) {
      try {
        const open = await opener.open();
        this.#open.add(open);
        this.#book.opened(name, open.version);
        opened();
        const { clean, how } = await open.ended;
        this.#open.delete(open);
        if (!this.#over) this.#judge(name, open.version, clean, how);
      } catch (error) {
        // Every fault is counted, and the client comes back.
        if (!this.#over) this.#book.fault(name, error);
        opened();
      }
      await pause(Math.random() * COMES_BACK_MS);
    }
  }

  #judge(name: string, version: string, clean: boolean, how: string): void {
    const closesFrom = this.#closesFrom.get(version) ?? Infinity;
    const early = closesFrom - nowMs();
    if (early > EARLY_MS) {
      const when = early === Infinity ? 'while it was the current one' : `${early.toFixed(0)} ms before its deadline`;
      return this.#book.note('newSocketsCut', `${name} of version ${version} ended ${when}: ${how}`);
    }
    this.#book.closed();
    if (!clean) this.#book.note('noCloseFrame', `${name} of version ${version} ended with ${how}`);
  }
}

/** WebSockets, which talk now and then. Clean is close code 1001 (RFC 6455 section 7.4.1, going away). */
export function webSocketOpener({ http, https, host, ca }: Destination, tls: boolean, book: TallyBook): Opener {
  const url = new URL('/socket', tls ? (https ?? '') : http);
  url.protocol = tls ? 'wss:' : 'ws:';
  const name = `WebSocket, ${tls ? 'wss' : 'ws'}`;
  const open = async (): Promise<Open> => {
    const options = {
      headers: { host, 'x-sent': String(nowMs()) },
      ca,
      servername: host,
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
    const closed = new Promise<{ clean: boolean; how: string }>((resolve) => {
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

/** Server-Sent Events. Clean is an end by framing or FIN, whatever has been sent of the last event. */
export function eventOpener(way: Way, book: TallyBook): Opener {
  const name = `events, ${way.name}`;
  const open = async (): Promise<Open> => {
    const headers = { 'x-asks': name, 'x-sent': String(nowMs()) };
    const answer = await way.ask({ method: 'GET', path: '/events', headers, patient: true });
    if (answer.status !== 200) {
      answer.body.resume();
      throw new Error(`HTTP ${answer.status}`);
    }
    return {
      version: String(answer.headers['x-version']),
      ended: readEvents(answer, name, book),
      end: () => void answer.body.destroy(),
    };
  };
  return { name, open };
}

async function readEvents(
  answer: Answer,
  name: string,
  book: TallyBook,
): Promise<{ readonly clean: boolean; readonly how: string }> {
  let text = '';
  let number = 0;
  let how = 'its end';
  try {
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      const events = (text + part.toString('utf8')).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        number += 1;
        if (!event.startsWith(`id: ${number}\n`)) book.note('failed', `${name}: event ${number} is ${event}`);
      }
    }
  } catch (error) {
    // How it ended is what is looked at.
    how = String(error);
  }
  return { clean: !answer.ended().reset, how };
}
