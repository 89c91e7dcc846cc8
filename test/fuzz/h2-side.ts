/**
 * Hostile HTTP/2 connections. The upstream must see only valid requests, each as complete as its client sent it; honest
 * requests are answered; nothing hangs and nothing is left over.
 */
import type { Socket } from 'node:net';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { HOST_LETTERS } from '../../proxy/h2/test-sequences.ts';
import { FRAME, PREFACE } from '../../proxy/h2/wire/codes.ts';
import { frame } from '../../proxy/h2/wire/test-frames.ts';
import type { EdgeProcess } from '../harness/edge-process.ts';
import type { Findings, H2Case } from './findings.ts';
import { wholeRequests } from './h2-cases.ts';
import { RecordingUpstream } from './recording-upstream.ts';
import type { StrictRequest } from './strict-upstream.ts';

export const H2_ROUTES = ['*.h2.test'];
/** Without a frame for this long, nothing more is expected. */
const QUIET_MS = 40;
/** Changes may have made the last PING part of another frame, so no wait is longer than this. */
const INCOMPLETE_MS = 300;
/** Without changes the PING is answered or the connection closed within this time, or the proxy hangs. */
const HANG_MS = 8000;
const LAST = Buffer.from('the last');
const LAST_PING = frame(FRAME.ping, 0, 0, LAST);

interface Run {
  readonly case: H2Case;
  readonly host: string;
  readonly bytes: Buffer;
  received: Buffer;
  hung: boolean;
}

export class H2Side {
  readonly #upstream = new RecordingUpstream((request, socket) => this.#answer(request, socket));
  #number = 0;

  /** @returns the port of its upstream */
  start(): Promise<number> {
    return this.#upstream.start();
  }

  close(): Promise<void> {
    return this.#upstream.close();
  }

  /** Runs cases concurrently, each on its own connection. @returns requests that reached the upstream */
  async run(edge: EdgeProcess, cases: readonly H2Case[], findings: Findings): Promise<number> {
    const runs = cases.map((one) => this.#prepare(one));
    await Promise.all(runs.map((run) => send(edge, run)));
    await pause(QUIET_MS);
    const { seen: asked, strays } = this.#upstream;
    let forwarded = 0;
    for (const run of runs) {
      const seen = asked.get(run.host) ?? [];
      forwarded += seen.length;
      // A frame cut off at the end continues in the last PING.
      const whole = wholeRequests(Buffer.concat([run.bytes, LAST_PING]));
      const wrong = seen.find((line) => !takeOut(whole, line));
      if (run.hung) findings.add('h2: hang', 'neither answered nor closed', 'fast', [run.case]);
      if (wrong !== undefined) {
        findings.add('h2: a request that no client has sent whole', `${wrong} of ${String(whole)}`, 'fast', [run.case]);
      }
    }
    for (const stray of strays) findings.add('h2: stray bytes at the upstream', stray, 'fast', cases);
    this.#upstream.forget();
    return forwarded;
  }

  #prepare(one: H2Case): Run {
    this.#number += 1;
    const host = HOST_LETTERS.replace('NNNNNNN', String(this.#number).padStart(7, '0'));
    const bytes = Buffer.from(one.bytes.replaceAll(HOST_LETTERS, host), 'latin1');
    return { case: one, host, bytes, received: Buffer.alloc(0), hung: false };
  }

  #answer({ host, target, method, body }: StrictRequest, socket: Socket): void {
    this.#upstream.record(host, `${target} ${JSON.stringify(body)}`);
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${method === 'HEAD' ? '' : 'ok'}`);
  }
}

function takeOut(lines: string[], line: string): boolean {
  const at = lines.indexOf(line);
  if (at >= 0) lines.splice(at, 1);
  return at >= 0;
}

async function send(edge: EdgeProcess, run: Run): Promise<void> {
  const port = Number(new URL(edge.urls.https ?? '').port);
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: run.host,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  });
  let last = performance.now();
  socket.on('data', (bytes: Buffer) => {
    run.received = Buffer.concat([run.received, bytes]);
    last = performance.now();
  });
  socket.on('error', () => undefined); // its `close` is what counts
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await sendParts(socket, run);
  const patienceMs = run.case.honest ? HANG_MS : INCOMPLETE_MS;
  let isAnswered = false;
  for (const began = performance.now(); !socket.closed && performance.now() - began < patienceMs;) {
    await Promise.race([closed, pause(QUIET_MS)]);
    isAnswered = run.received.includes(LAST);
    if (isAnswered && performance.now() - last > QUIET_MS) break;
  }
  run.hung = run.case.honest && !isAnswered && !socket.closed;
  socket.destroy();
}

async function sendParts(socket: TLSSocket, { case: { parts }, bytes }: Run): Promise<void> {
  socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0)]));
  const cuts = [...parts.filter((at) => at < bytes.length), bytes.length];
  for (const [index, end] of cuts.entries()) {
    if (index > 0) await immediate();
    socket.write(bytes.subarray(cuts[index - 1] ?? 0, end));
  }
  socket.write(LAST_PING);
}
