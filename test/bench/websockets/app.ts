/** `app.ts PORT`: switches every connection to WebSocket, and echoes whatever follows unchanged. */
import { createServer } from 'node:net';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  // A client that disconnects.
  socket.on('error', () => undefined);
  let head = '';
  socket.on('data', (bytes: Buffer) => {
    if (head.endsWith('\r\n\r\n')) return socket.write(bytes);
    head += bytes.toString('latin1');
    return head.endsWith('\r\n\r\n') && socket.write(SWITCH);
  });
}).listen(Number(process.argv[2]), '127.0.0.1', 4096);
