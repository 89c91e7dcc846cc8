/** The settings that the two ends of a connection tell each other (RFC 9113 section 6.5). */
import { check, CODE, DEFAULT_WINDOW, SETTING } from './wire/codes.ts';
import type { FrameOutput } from './wire/frame-output.ts';
import { ClientSettings } from './wire/settings.ts';

interface OurLimits {
  /** Requests at once. */
  readonly maxStreams: number;
  /** Largest field section, bytes as HPACK counts them. */
  readonly maxListBytes: number;
}

export class SettingsExchange {
  /** The client's have come. */
  greeted = false;
  /** The client has acknowledged ours, and so our limits. */
  limitsKnown = false;
  readonly #clients = new ClientSettings();
  #tableIsEmpty = false;

  /** Window of a stream that begins, octets. */
  get windowBytes(): number {
    return this.#clients.windowBytes;
  }

  /** Says ours. */
  greet(output: FrameOutput, { maxStreams, maxListBytes }: OurLimits): void {
    output.settings([
      SETTING.maxConcurrentStreams,
      maxStreams,
      SETTING.initialWindowSize,
      DEFAULT_WINDOW,
      SETTING.maxHeaderListSize,
      maxListBytes,
      SETTING.enableConnectProtocol,
      1,
    ]);
  }

  /** @param length of the acknowledgement's payload @throws ConnectionError */
  acknowledged(length: number): void {
    check(this.greeted, CODE.protocolError, 'an acknowledgement before the settings');
    check(length === 0, CODE.frameSizeError, 'an acknowledgement with settings');
    this.limitsKnown = true;
  }

  /**
   * Takes the payload of the client's frame, which the caller acknowledges.
   * @returns octets by which the window of each open stream grows; less than 0: shrinks
   * @throws ConnectionError
   */
  take(bytes: Buffer, start: number, end: number, output: FrameOutput): number {
    this.greeted = true;
    const before = this.windowBytes;
    this.#clients.read(bytes, start, end);
    if (this.#clients.hasSmallTable && !this.#tableIsEmpty) {
      this.#tableIsEmpty = true;
      output.emptyTable();
    }
    return this.windowBytes - before;
  }
}
