/** The kinds of requests in the load, with their shares. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Payload } from '../app/payload.ts';
import { nowMs } from '../clock.ts';
import { AnswerCheck } from './answer-check.ts';
import type { Ask, Way } from './ways.ts';

const KIB = 1024;

export interface Kind {
  readonly name: string;
  /** Share per thousand requests. */
  readonly share: number;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  /** Bytes of the expected body, which is the beginning of the payload. Absent: the hash of what was sent. */
  readonly bytes?: number;
  readonly status?: number;
  readonly upload?: { readonly bytes: number; readonly chunks: number; readonly pauseMs: number };
  /** On a new connection. */
  readonly fresh?: boolean;
  /** Pause after each 64 KiB read, ms. */
  readonly readPauseMs?: number;
  /** Its duration is due to the proxy and not to a pause. */
  readonly timed?: boolean;
}

export const KINDS: readonly Kind[] = [
  { name: 'GET', share: 407, method: 'GET', path: `/fixed/${KIB}`, bytes: KIB, timed: true },
  { name: 'GET new', share: 100, method: 'GET', path: `/fixed/${KIB}`, bytes: KIB, fresh: true, timed: true },
  { name: 'GET 64 KiB', share: 50, method: 'GET', path: `/fixed/${64 * KIB}`, bytes: 64 * KIB, timed: true },
  { name: 'HEAD', share: 100, method: 'HEAD', path: `/fixed/${KIB}`, bytes: KIB, timed: true },
  { name: 'GET 204', share: 20, method: 'GET', path: '/none', bytes: 0, status: 204, timed: true },
  { name: 'POST', share: 120, method: 'POST', path: '/hash', upload: plain(10 * KIB), timed: true },
  { name: 'POST new', share: 20, method: 'POST', path: '/hash', upload: plain(10 * KIB), fresh: true, timed: true },
  { name: 'upload', share: 50, method: 'POST', path: '/hash', upload: { bytes: 64 * KIB, chunks: 8, pauseMs: 0 } },
  { name: 'slow upload', share: 20, method: 'POST', path: '/hash-early', upload: slow(20_000, 5, 40) },
  { name: 'download', share: 70, method: 'GET', path: `/parts/${64 * KIB}/8/0`, bytes: 64 * KIB },
  { name: 'slow download', share: 40, method: 'GET', path: '/parts/20000/5/60', bytes: 20_000 },
  { name: 'slow reader', share: 3, method: 'GET', path: `/fixed/${3072 * KIB}`, bytes: 3072 * KIB, readPauseMs: 8 },
];

function plain(bytes: number): NonNullable<Kind['upload']> {
  return { bytes, chunks: 1, pauseMs: 0 };
}

function slow(bytes: number, chunks: number, pauseMs: number): NonNullable<Kind['upload']> {
  return { bytes, chunks, pauseMs };
}

/**
 * Sends one request, reads its response to the end and checks it.
 * @returns the version that answered
 * @throws Wrong
 */
export function perform(kind: Kind, way: Way, payload: Payload, mark: string): Promise<string> {
  return new Promise((resolve, reject) => {
    way.send(askOf(kind, payload, mark), new AnswerCheck(kind, payload, mark, resolve, reject));
  });
}

function askOf({ method, path, upload }: Kind, payload: Payload, mark: string): Ask {
  const headers = { 'x-asks': mark, 'x-sent': String(nowMs()) };
  if (!upload) return { method, path, headers };
  const body = payload.slice(upload.bytes);
  return { method, path, headers, body: upload.chunks === 1 ? body : inChunks(body, upload) };
}

async function* inChunks(
  body: Buffer,
  { bytes, chunks, pauseMs }: NonNullable<Kind['upload']>,
): AsyncGenerator<Buffer, void> {
  for (let part = 0; part < chunks; part += 1) {
    yield body.subarray(Math.floor((bytes * part) / chunks), Math.floor((bytes * (part + 1)) / chunks));
    if (pauseMs > 0) await pause(pauseMs);
  }
}
