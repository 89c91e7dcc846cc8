/** The client's settings (RFC 9113 section 6.5.2) that matter here. */
import { CODE, ConnectionError, DEFAULT_WINDOW, MAX_FRAME_BYTES, MAX_WINDOW, SETTING } from './codes.ts';

const SETTING_BYTES = 6;
const LARGEST_FRAME = 2 ** 24 - 1;
const DEFAULT_TABLE = 4_096;

export class ClientSettings {
  /** Initial window of each stream, octets. */
  windowBytes = DEFAULT_WINDOW;
  /** True once the client has asked for an HPACK table smaller than the default. */
  hasSmallTable = false;

  /**
   * Applies the payload of a SETTINGS frame. Unknown settings are ignored.
   * @throws ConnectionError
   */
  read(bytes: Buffer, start: number, end: number): void {
    if ((end - start) % SETTING_BYTES !== 0) throw new ConnectionError(CODE.frameSizeError, 'settings of odd length');
    for (let at = start; at < end; at += SETTING_BYTES) this.#take(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
  }

  #take(id: number, value: number): void {
    switch (id) {
      case SETTING.initialWindowSize:
        if (value > MAX_WINDOW) throw new ConnectionError(CODE.flowControlError, 'a window of 2^31');
        this.windowBytes = value;
        break;
      case SETTING.headerTableSize:
        this.hasSmallTable ||= value < DEFAULT_TABLE;
        break;
      case SETTING.enablePush:
      case SETTING.enableConnectProtocol:
        if (value > 1) throw new ConnectionError(CODE.protocolError, 'a setting that is neither on nor off');
        break;
      case SETTING.maxFrameSize:
        // We never send frames beyond the size that everybody must accept.
        if (value < MAX_FRAME_BYTES || value > LARGEST_FRAME) {
          throw new ConnectionError(CODE.protocolError, 'a frame size out of range');
        }
        break;
      default:
    }
  }
}
