// @ts-check
/**
 * Tries to reach targets from wherever it runs: in a RUN step, in an app, on the host. Plain JavaScript without imports
 * of ours, since it is copied into images. `node prober.mjs LIST` tries the list LIST of targets.json beside it.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

/**
 * `tcp`: something accepts. `udp`: something answers. `unix`: a socket's path, `@name` for an abstract one. `dns`: the
 * name resolves. `http`: any response to a GET. `proxied`: HTTP_PROXY opens a tunnel to it.
 *
 * @typedef {{ name: string, kind: 'tcp' | 'udp' | 'unix' | 'dns' | 'http' | 'proxied', to: string, port: number }} Target
 */

/** How long an open target may take to answer, ms. */
const TIMEOUT_MS = 8000;
const UDP_EVERY_MS = 300;

/**
 * Probes all targets at once. Name → whether it was reached.
 *
 * @param {readonly Target[]} targets
 * @param {string} who sender named in datagrams, so that the receiver knows whose arrived
 * @returns {Promise<Record<string, boolean>>}
 */
export async function probeAll(targets, who) {
  /** @type {(target: Target) => Promise<[string, boolean]>} */
  const one = async (target) => [target.name, await within(probe(target, who))];
  return Object.fromEntries(await Promise.all(targets.map(one)));
}

/** @param {Promise<boolean>} work */
function within(work) {
  return Promise.race([
    work.catch(() => false), // refused, no route, no such file: all the same here
    new Promise((/** @type {(reached: boolean) => void} */ resolve) => setTimeout(resolve, TIMEOUT_MS, false).unref()),
  ]);
}

/**
 * @param {Target} target
 * @param {string} who
 * @returns {Promise<boolean>}
 */
async function probe({ name, kind, to, port }, who) {
  switch (kind) {
    case 'tcp':
      return opens(connect({ host: to, port }));
    case 'unix':
      return opens(connect({ path: to.replace(/^@/, '\0') }));
    case 'udp':
      return answersDatagram(to, port, `${who} ${name}`);
    case 'dns':
      return (await lookup(to)).address !== '';
    case 'http':
      return (await fetch(to)).status > 0;
    case 'proxied':
    default:
      return tunnels(`${to}:${port}`);
  }
}

/**
 * @param {import('node:net').Socket} socket
 * @returns {Promise<boolean>}
 */
function opens(socket) {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    setTimeout(() => socket.destroy(), TIMEOUT_MS);
    socket.once('connect', () => socket.destroy());
  });
}

/**
 * @param {string} to
 * @param {number} port
 * @param {string} text
 * @returns {Promise<boolean>}
 */
function answersDatagram(to, port, text) {
  return new Promise((resolve) => {
    const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
    const send = () => socket.send(text, port, to);
    const timer = setInterval(send, UDP_EVERY_MS);
    /** @param {boolean} reached */
    const end = (reached) => {
      clearInterval(timer);
      clearTimeout(deadline);
      socket.close();
      resolve(reached);
    };
    const deadline = setTimeout(end, TIMEOUT_MS - UDP_EVERY_MS, false);
    socket.once('message', () => end(true)).once('error', () => end(false));
    send();
  });
}

/**
 * @param {string} authority
 * @returns {Promise<boolean>}
 */
function tunnels(authority) {
  return new Promise((resolve, reject) => {
    const asked = request(process.env['HTTP_PROXY'] ?? '', { method: 'CONNECT', path: authority });
    asked.once('connect', (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode === 200);
    });
    asked.once('error', reject).end();
  });
}

const [, program, list] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  /** @type {Record<string, Target[]>} */
  const lists = JSON.parse(readFileSync(new URL('targets.json', import.meta.url), 'utf8'));
  const results = await probeAll(lists[list ?? ''] ?? [], list ?? '');
  for (const [name, reached] of Object.entries(results))
    console.log(`isolation ${name}=${reached ? 'reached' : 'closed'}`);
  process.exit(0);
}
