/** A port whose accept queue is full: it listens, prints its port, and never accepts. Ends with its stdin. */
import { createServer } from 'node:net';

const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  process.stdout.write(`${server.address().port}\n`);
  // Long enough for every test, but not for ever.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  process.exit(0);
});
