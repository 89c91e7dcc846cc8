/** The app behind the proxy, in its own thread so that it does not disturb the measurement: small and big pages. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';

const SMALL = Buffer.alloc(1024, 's');
/** More than the buffers of all kernels on the way can hold. */
const BIG = Buffer.alloc(8 * 1024 * 1024, 'b');

// Applies to this thread: the app's work must not count as the proxy's.
setPriority(-10);
const server = createServer((req, res) => {
  req.resume();
  req.once('end', () => res.end(req.url === '/small' ? SMALL : BIG));
});
server.listen(0, '127.0.0.1', 4096, () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, and this is a thread
  parentPort?.postMessage((server.address() as AddressInfo).port);
});
