/**
 * One request to the hub that shows three things: whether it responds, with which certificate, and what time it has.
 */
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { reasonOf } from '../../protocol/service/dialling.ts';
import type { Clock } from '../deployment/ports.ts';

/** Largest part of the response that is read, bytes. */
const MAX_BODY_BYTES = 4096;

export type HubAnswer =
  | {
      readonly reached: true;
      readonly status: number;
      readonly body: string;
      /** The hub's clock minus ours, ms; its Date header counts whole seconds. Null: it sent none. */
      readonly skewMs: number | null;
      /** Expiry of its certificate, ms since the epoch; null without TLS. */
      readonly certificateUntil: number | null;
    }
  | { readonly reached: false; readonly code: string; readonly message: string };

/**
 * Never rejects: an unreachable hub is a result.
 *
 * @param lookup absent: Node's default
 */
export function askHub(hubUrl: string, clock: Clock, deadlineMs: number, lookup?: LookupFunction): Promise<HubAnswer> {
  return new Promise((resolve) => {
    const url = new URL('/healthz', hubUrl);
    const asked = clock.now();
    const failed = (error: Error): void =>
      resolve({ reached: false, code: (error as NodeJS.ErrnoException).code ?? error.name, message: reasonOf(error) });
    const call = (url.protocol === 'https:' ? secure : plain)(
      url,
      { agent: false, signal: AbortSignal.timeout(deadlineMs), ...(lookup && { lookup }) },
      (answer) => {
        const certificateUntil = certificateEnd(answer);
        const skewMs = skewOf(answer.headers.date, asked, clock.now());
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body = (body + chunk).slice(0, MAX_BODY_BYTES);
        });
        answer.on('error', failed);
        answer.on('end', () =>
          resolve({ reached: true, status: answer.statusCode ?? 0, body, skewMs, certificateUntil }),
        );
      },
    );
    call.on('error', failed);
    call.end();
  });
}

/** RFC 9110, 6.6.1: Date has a resolution of one second, so half a second is added. */
function skewOf(date: string | undefined, asked: number, answered: number): number | null {
  const theirs = Date.parse(date ?? '');
  return Number.isNaN(theirs) ? null : Math.round(theirs + 500 - (asked + answered) / 2);
}

function certificateEnd({ socket }: IncomingMessage): number | null {
  if (!('getPeerCertificate' in socket)) return null;
  const until = Date.parse((socket as TLSSocket).getPeerCertificate().valid_to);
  return Number.isNaN(until) ? null : until;
}
