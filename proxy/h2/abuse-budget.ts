/** Limits what a client's connection may cost us beyond the requests that it makes. */
import type { Clock } from '../clock.ts';
import { TokenBucket } from './token-bucket.ts';
import { check, CODE } from './wire/codes.ts';

/**
 * Streams that a client may reset, or make us reset, at once and per second (CVE-2023-44487, CVE-2025-8671). A browser
 * that leaves a page resets all its streams at once. A busy client may have much to cancel, such as a proxy for many
 * users, or a client whose requests have deadlines: each request earns a quarter of a reset.
 */
const RESETS = { burst: 256, perSecond: 16 };
const RESETS_EARNED_BY_REQUEST = 1 / 4;
/**
 * Frames that carry neither a request nor a body: SETTINGS, PING, small WINDOW_UPDATEs, empty DATA and so on
 * (CVE-2019-9511 to 9518). Requests and bodies earn tokens, since honest clients send such frames in proportion to
 * them, and with a delay: some react to each message of a stream with two small windows and a PING, and thousands of
 * these may be on their way.
 */
const FRAMES = { burst: 4_000, perSecond: 200, most: 40_000 };
const EARNED_BY_REQUEST = 8;
const DEAR = 4;
const EARNED_BY_DATA = 2 * DEAR + 1;
/** Body octets in one frame, or growth of a window, below which the client seems to want tiny frames. */
const SMALL = 256;

export class AbuseBudget {
  readonly #clock: Clock;
  readonly #resets: TokenBucket;
  readonly #frames: TokenBucket;

  constructor(clock: Clock) {
    const now = clock.monotonic();
    this.#clock = clock;
    this.#resets = new TokenBucket(RESETS, now);
    this.#frames = new TokenBucket(FRAMES, now);
  }

  /** Counts a frame that carries nothing. @throws ConnectionError ENHANCE_YOUR_CALM, as do the following methods */
  frame(): void {
    this.#take(1);
  }

  /** Counts a frame that is expensive to process. */
  dearFrame(): void {
    this.#take(DEAR);
  }

  /** @param increment of a window, octets */
  update(increment: number): void {
    this.#take(increment < SMALL ? DEAR : 1);
  }

  /** @param octets of the request body in the client's frame */
  data(octets: number, isLast: boolean): void {
    if (octets === 0 && !isLast) this.#take(1);
    else if (octets >= SMALL) this.#frames.earn(EARNED_BY_DATA);
  }

  /**
   * A DATA frame was sent to the client.
   * @param isCut a window had no room for more, though there was more: clients that want tiny frames earn nothing
   */
  sent(octets: number, isCut: boolean): void {
    if (octets >= SMALL || !isCut) this.#frames.earn(EARNED_BY_DATA);
  }

  request(): void {
    this.#frames.earn(EARNED_BY_REQUEST);
    this.#resets.earn(RESETS_EARNED_BY_REQUEST);
  }

  /** Counts a stream that the client reset, or made us reset. @returns false when there were too many */
  reset(): boolean {
    return this.#resets.take(this.#clock.monotonic());
  }

  #take(cost: number): void {
    check(this.#frames.take(this.#clock.monotonic(), cost), CODE.enhanceYourCalm, 'too many frames for nothing');
  }
}
