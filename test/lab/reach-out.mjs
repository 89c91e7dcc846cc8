// Added to the sample app in a lab: tries from its start on what an app must not reach, and reports in each response.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const EVERY_MS = 20;
/** Longer than an agent takes to come up after a boot of its host. */
const FOR_MS = 20_000;
/** Dropped packets get no reply. */
const PATIENCE_MS = 1000;

const FORBIDDEN = {
  'the metadata service': { host: '169.254.169.254', port: 80 },
  'a port of the host': { host: gateway(), port: 80 },
};

export function reachOut(server) {
  const reached = new Set();
  let tries = 0;
  const timer = setInterval(() => {
    tries += 1;
    for (const [name, where] of Object.entries(FORBIDDEN)) tryOnce(where, () => reached.add(name));
    if (tries * EVERY_MS >= FOR_MS) clearInterval(timer);
  }, EVERY_MS);
  // Before the app's own listener, which ends the response.
  server.prependListener('request', (_request, response) => {
    response.setHeader('x-reached', JSON.stringify({ tries, reached: [...reached] }));
  });
}

function tryOnce(where, onReached) {
  const socket = connect(where, () => {
    onReached();
    socket.destroy();
  });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
}

/** Gateway of the default route (proc_net_route(5)): an address of the host. */
function gateway() {
  const routes = readFileSync('/proc/net/route', 'utf8').split('\n');
  const [, , hex = ''] = routes.find((line) => line.split('\t')[1] === '00000000')?.split('\t') ?? [];
  return [...Buffer.from(hex, 'hex')].toReversed().join('.');
}
