/** Compares a response, as it arrives, with the expected one. */
import type { Payload } from '../app/payload.ts';
import type { Kind } from './kinds.ts';
import { Wrong } from './tally.ts';
import type { AnswerHeaders, Receiver } from './ways.ts';

/** A slow reader pauses after this many bytes. */
const PAUSE_EVERY = 65_536;
/** How much of a wrong response is shown. */
const SHOWN = 200;

export class AnswerCheck implements Receiver {
  readonly #kind: Kind;
  readonly #mark: string;
  readonly #expected: Buffer;
  readonly #resolve: (version: string) => void;
  readonly #reject: (error: Error) => void;
  /** Null before the head. */
  #version: string | null = null;
  #bytes = 0;
  #wrong: Wrong | null = null;
  #shown = '';

  /** Calls back with the version that answered, or with a {@link Wrong}. */
  constructor(
    kind: Kind,
    payload: Payload,
    mark: string,
    resolve: (version: string) => void,
    reject: (error: Error) => void,
  ) {
    this.#kind = kind;
    this.#mark = mark;
    this.#resolve = resolve;
    this.#reject = reject;
    const { upload, method, bytes = 0 } = kind;
    if (upload) this.#expected = Buffer.from(payload.hash(upload.bytes));
    else this.#expected = payload.slice(method === 'HEAD' ? 0 : bytes);
  }

  head(status: number, headers: AnswerHeaders): void {
    this.#version = String(headers['x-version'] ?? 'none');
    const { method, bytes, status: wanted = 200 } = this.#kind;
    const answers = String(headers['x-answers']);
    const length = String(headers['content-length']);
    if (status !== wanted) this.#fault('failed', `HTTP ${status}`);
    else if (answers !== this.#mark) this.#fault('failed', `${this.#mark} got the answer of ${answers}`);
    else if (method === 'HEAD' && length !== String(bytes))
      this.#fault('failed', `Content-Length ${length} for a HEAD`);
  }

  data(part: Buffer): number {
    const at = this.#bytes;
    this.#bytes += part.length;
    if (this.#wrong) this.#shown += part.toString('latin1', 0, SHOWN - this.#shown.length);
    else if (!part.equals(this.#expected.subarray(at, this.#bytes))) {
      this.#fault('truncated', `wrong bytes between ${at} and ${this.#bytes}`);
    }
    // Counted in bytes, since TLS delivers smaller parts.
    const pauses = Math.floor(this.#bytes / PAUSE_EVERY) - Math.floor(at / PAUSE_EVERY);
    return pauses * (this.#kind.readPauseMs ?? 0);
  }

  end(): void {
    const wanted = this.#expected.length;
    if (this.#version === null) this.#fault('failed', 'no answer');
    if (!this.#wrong && this.#bytes !== wanted) this.#fault('truncated', `${this.#bytes} of ${wanted} bytes`);
    if (this.#wrong) this.#reject(this.#shown === '' ? this.#wrong : this.#wrong.with(this.#shown));
    else this.#resolve(this.#version ?? '');
  }

  error(error: Error): void {
    const what = `${(error as NodeJS.ErrnoException).code ?? error.name} ${error.message}`;
    if (this.#version === null) this.#fault('failed', what);
    else this.#fault('truncated', `after ${this.#bytes} of ${this.#expected.length} bytes: ${what}`);
    this.#reject(this.#wrong ?? error);
  }

  /** Only the first fault is reported. */
  #fault(kind: 'failed' | 'truncated', what: string): void {
    this.#wrong ??= new Wrong(kind, this.#version === null ? what : `version ${this.#version}: ${what}`);
  }
}
