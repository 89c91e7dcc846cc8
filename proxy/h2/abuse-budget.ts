/** What a client's connection may cost us beyond the requests that it makes. */
import type { Clock } from '../clock.ts';
import { TokenBucket } from './token-bucket.ts';
import { check, CODE } from './wire/codes.ts';

/**
 * Streams that a client may reset, or make us reset, before it has used up its credit; and how many it gets back per
 * second (CVE-2023-44487, CVE-2025-8671). A browser that leaves a page resets all its streams at once. Who asks much may
 * have much to cancel, as a proxy that speaks for many, or one whose requests have deadlines: a quarter of all.
 */
const RESETS = { burst: 256, perSecond: 16 };
const RESETS_EARNED_BY_REQUEST = 1 / 4;
/**
 * Frames that bring neither request nor body: SETTINGS, PING, small WINDOW_UPDATEs, empty DATA and so on (CVE-2019-9511 to
 * 9518). Requests and bodies earn some, as honest clients have such frames in proportion to them, and later: some answer
 * each message of a stream by two small windows and a PING, thousands of which may be on their way.
 */
const FRAMES = { burst: 4_000, perSecond: 200, most: 40_000 };
const EARNED_BY_REQUEST = 8;
const DEAR = 4;
const EARNED_BY_DATA = 2 * DEAR + 1;
/** Octets of a body in one frame, or of a window's growth, below which somebody wants tiny frames. */
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

  /** A frame that brings nothing. @throws ConnectionError ENHANCE_YOUR_CALM, as the following do */
  frame(): void {
    this.#take(1);
  }

  /** One that gives us work. */
  dearFrame(): void {
    this.#take(DEAR);
  }

  /** @param increment of a window, octets */
  update(increment: number): void {
    this.#take(increment < SMALL ? DEAR : 1);
  }

  /** @param octets of the body that a client's frame brings */
  data(octets: number, isLast: boolean): void {
    if (octets === 0 && !isLast) this.#take(1);
    else if (octets >= SMALL) this.#frames.earn(EARNED_BY_DATA);
  }

  /**
   * A frame with so many octets of a body went to the client.
   * @param isCut its window left no room for more, though there was more: one that wants tiny frames earns nothing by them
   */
  sent(octets: number, isCut: boolean): void {
    if (octets >= SMALL || !isCut) this.#frames.earn(EARNED_BY_DATA);
  }

  request(): void {
    this.#frames.earn(EARNED_BY_REQUEST);
    this.#resets.earn(RESETS_EARNED_BY_REQUEST);
  }

  /** A stream was reset by its client, or because of it. @returns false when these were too many */
  reset(): boolean {
    return this.#resets.take(this.#clock.monotonic());
  }

  #take(cost: number): void {
    check(this.#frames.take(this.#clock.monotonic(), cost), CODE.enhanceYourCalm, 'too many frames for nothing');
  }
}
