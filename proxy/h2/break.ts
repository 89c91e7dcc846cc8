/** How streams are ended that do not end by themselves. */
import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';

/**
 * Resets the stream. `close(code)` of node would end the writable side first, and a client could take the answer for
 * complete; `destroy` does not, and its code is INTERNAL_ERROR.
 *
 * @param code used when no answer has begun
 */
export function breakStream(stream: ServerHttp2Stream, code: number = constants.NGHTTP2_INTERNAL_ERROR): void {
  if (stream.headersSent) stream.destroy(new Error('the answer is not complete'));
  else stream.close(code);
}

/** How long a client that has its answer may still send its request, ms. */
const LINGER_MS = 200;

/**
 * For an answer that is complete before its request: most clients stop by themselves when they have it; the others are
 * asked to by a reset without error (RFC 9113 section 8.1).
 */
export function lingerOn(stream: ServerHttp2Stream): void {
  stream.resume();
  const timer = setTimeout(() => {
    if (stream.writableFinished) stream.close(constants.NGHTTP2_NO_ERROR);
    else stream.once('finish', () => lingerOn(stream));
  }, LINGER_MS);
  stream.once('close', () => clearTimeout(timer));
}
