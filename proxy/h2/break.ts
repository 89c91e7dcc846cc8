/** How a stream is ended whose answer is not complete. */
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
