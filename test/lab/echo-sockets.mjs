// Put into the sample app of a lab: its visitors keep WebSockets (RFC 6455), and every short text comes back.
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function echoSockets(server) {
  server.on('upgrade', (request, socket) => {
    const key = request.headers['sec-websocket-key'];
    const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => socket.destroy());
    socket.on('data', (frame) => {
      const length = frame[1] & 0x7f;
      // One short text per frame is all that a lab's visitor sends; anything else is its farewell.
      if (frame[0] !== 0x81 || length > 125) return socket.end();
      const mask = frame.subarray(2, 6);
      const text = frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]);
      return socket.write(Buffer.concat([Buffer.from([0x81, length]), text]));
    });
  });
}
