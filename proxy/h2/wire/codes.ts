/** The constants of HTTP/2 (RFC 9113 sections 6, 6.5.2 and 7), and the error that ends a connection. */

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** The connection preface of a client (RFC 9113 section 3.4). */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** Octets of a frame header. */
export const FRAME_HEAD_BYTES = 9;
/** Largest frame payload, bytes, unless a peer allows more (section 6.5.2). We do not allow more. */
export const MAX_FRAME_BYTES = 16_384;
/** Largest flow-control window (section 6.9.1), and largest stream identifier. */
export const MAX_WINDOW = 2 ** 31 - 1;
/** Window of a connection, and of a stream before settings say otherwise, bytes. */
export const DEFAULT_WINDOW = 65_535;

/** A connection error (RFC 9113 section 5.4.1). */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws ConnectionError unless `isFine` */
export function check(isFine: boolean, code: number, why: string): void {
  if (!isFine) throw new ConnectionError(code, why);
}
