// Added to the sample app in a lab: keeps WebSockets (RFC 6455) open for visitors and echoes every short text.
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Header of a short masked frame: two bytes, and four of mask. */
const HEAD_BYTES = 6;

export function echoSockets(server) {
  server.on('upgrade', (request, socket) => {
    const key = request.headers['sec-websocket-key'];
    const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    let rest = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      // Several frames may arrive at once, or one in parts.
      while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + (rest[1] & 0x7f)) {
        const end = HEAD_BYTES + (rest[1] & 0x7f);
        // A lab's visitor sends only short texts; anything else is its close frame.
        if (rest[0] !== 0x81) {
          socket.end();
          return;
        }
        socket.write(echoOf(rest.subarray(0, end)));
        rest = rest.subarray(end);
      }
    });
  });
}

function echoOf(frame) {
  const mask = frame.subarray(2, HEAD_BYTES);
  const text = frame.subarray(HEAD_BYTES).map((byte, index) => byte ^ mask[index % 4]);
  return Buffer.concat([Buffer.from([0x81, text.length]), text]);
}
