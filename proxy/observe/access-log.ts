/**
 * The access log: one line of JSON per logged request, in the form of the proxy's other lines (pino).
 *
 * A line says who requested what, how it ended and how long it took. It never contains a query, a fragment, the
 * authority of a target or a header field: tokens travel in queries and fragments, passwords in front of hosts,
 * `Referer` repeats them, and `User-Agent` describes the visitor, not the request. A long path is cut.
 */
import type { Clock } from '../clock.ts';
import { quoted } from './json-text.ts';
import type { LogSink } from './log-sink.ts';
import type { Ended } from './observer.ts';

const SLASH = 0x2f;
const MAX_PATH = 1000;
const MAX_HOST = 255;
const MAX_WORD = 130;

export class AccessLog {
  readonly #share: number;
  readonly #clock: Clock;
  readonly #sink: Pick<LogSink, 'add'>;
  readonly #sample: string;
  /** Grows by the share with each exchange; a line is due at 1. */
  #due = 0;
  #second = 0;
  #secondText = '';
  #now = 0;
  #nowText = '';

  /**
   * @param share of the exchanges that did not fail, 0 to 1: this share of them is logged, and each line contains it.
   *   Exchanges that failed or were answered with 500 and above are always logged.
   */
  constructor(share: number, clock: Clock, sink: Pick<LogSink, 'add'>) {
    this.#share = share;
    this.#clock = clock;
    this.#sink = sink;
    this.#sample = share < 1 ? `,"sample":${share}` : '';
  }

  /** @param upstreamId null: no route matched */
  record(upstreamId: string | null, exchange: Ended): void {
    if (exchange.outcome === 'failed' || exchange.status >= 500) {
      this.#sink.add(this.#line('warn', upstreamId, exchange, ''));
      return;
    }
    this.#due += this.#share;
    if (this.#due < 1) return;
    this.#due -= 1;
    this.#sink.add(this.#line('info', upstreamId, exchange, this.#sample));
  }

  #line(level: string, upstreamId: string | null, ended: Ended, sample: string): string {
    const path = pathOf(ended.target);
    return (
      `{"level":"${level}","time":"${this.#time()}","service":"proxy"` +
      `,"id":${quoted(ended.requestId, MAX_WORD)},"client":${quoted(ended.clientAddress, MAX_WORD)}` +
      `,"method":${quoted(ended.method, MAX_WORD)},"scheme":"${ended.secure ? 'https' : 'http'}"` +
      `,"host":${quoted(ended.host, MAX_HOST)},"path":${quoted(path, MAX_PATH)},"http":"${ended.httpVersion}"` +
      `,"status":${ended.status},"outcome":"${ended.outcome}"` +
      `,"upstream":${idText(upstreamId)},"target":${idText(ended.targetId)},"engine":"${ended.engine}"` +
      `,"ms":${tenths(ended.durationMs)},"appMs":${tenths(ended.appMs)}` +
      `,"bytesIn":${count(ended.bytesIn)},"bytesOut":${count(ended.bytesOut)}${sample},"msg":"request"}\n`
    );
  }

  /** ISO 8601 in UTC. The text is cached for the millisecond, and its first part for the second. */
  #time(): string {
    const now = this.#clock.now().getTime();
    if (now === this.#now) return this.#nowText;
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1000).toISOString().slice(0, 20);
    }
    this.#now = now;
    this.#nowText = `${this.#secondText}${String(now - second * 1000).padStart(3, '0')}Z`;
    return this.#nowText;
  }
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  return path.charCodeAt(0) === SLASH && !path.includes('#') ? path : pathOfRefused(path);
}

/** The target of a refused request may be any text: returns the path of a URL, or nothing if there is none. */
function pathOfRefused(target: string): string {
  const [text = ''] = target.split('#', 1);
  if (text.startsWith('/') || text === '*') return text;
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*(.*)$/is.exec(text)?.[1] ?? '';
}

/** Ids are ours, so there is nothing to escape. */
const idText = (id: string | null): string => (id === null ? 'null' : `"${id}"`);

/** An engine's miscount must not make a line unreadable. */
const count = (value: number): number => (value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : 0);

/** Rounded to a tenth, in integers: formatting a fraction costs three times as much. */
function tenths(ms: number): string {
  const rounded = count(Math.round(ms * 10));
  return `${Math.floor(rounded / 10)}.${rounded % 10}`;
}

/** The line that reports lines dropped because the reader is slow. */
export function droppedLine(clock: Clock, dropped: number): string {
  const time = clock.now().toISOString();
  return `{"level":"warn","time":"${time}","service":"proxy","dropped":${dropped},"msg":"access log lines were dropped: their reader is too slow"}\n`;
}
