/** The exchange of SETTINGS between the two ends of a connection (RFC 9113 section 6.5). */
import { check, CODE, DEFAULT_WINDOW, SETTING } from './wire/codes.ts';
import type { FrameOutput } from './wire/frame-output.ts';
import { ClientSettings } from './wire/settings.ts';

interface OurLimits {
  /** Concurrent requests. */
  readonly maxStreams: number;
  /** Largest field section, bytes as HPACK counts them. */
  readonly maxListBytes: number;
}

export class SettingsExchange {
  /** True once the client's settings have arrived. */
  greeted = false;
  /** True once the client has acknowledged our settings, and so knows our limits. */
  limitsKnown = false;
  readonly #clients = new ClientSettings();
  #tableIsEmpty = false;

  /** Initial send window of a new stream, octets. */
  get windowBytes(): number {
    return this.#clients.windowBytes;
  }

  /** Sends our settings. */
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
   * Applies the payload of the client's SETTINGS frame, which the caller acknowledges.
   * @returns the octets by which the window of each open stream grows; negative: shrinks
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
