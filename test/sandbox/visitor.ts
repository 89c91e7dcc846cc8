/** Visits an address at a constant rate, however slow the responses are, and reports the time of each. */
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** A request that takes longer than this has failed, ms. */
const TIMEOUT_MS = 5000;

export interface Visits {
  readonly address: string;
  readonly port: number;
  readonly perSecond: number;
}

/** When a request was due (performance.timeOrigin based, ms), and how long its response took then; null: it failed. */
export interface Visit {
  /** Counted from 0, in the order in which they were due. */
  readonly number: number;
  readonly at: number;
  readonly ms: number | null;
}

const { address, port, perSecond } = JSON.parse(process.argv[2] ?? '') as Visits;
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const now = (): number => performance.timeOrigin + performance.now();

function visit(number: number, due: number): void {
  const tell = (ok: boolean): void =>
    void process.send?.({ number, at: due, ms: ok ? now() - due : null } satisfies Visit);
  const request = http.get({ host: address, port, agent, timeout: TIMEOUT_MS }, (answer) => {
    answer.resume().once('end', () => tell(answer.statusCode === 200));
  });
  request.once('timeout', () => request.destroy(new Error('too late')));
  request.once('error', () => tell(false));
}

process.once('disconnect', () => process.exit());
const begin = now();
for (let count = 0; ; count += 1) {
  const due = begin + (count * 1000) / perSecond;
  await delay(Math.max(0, due - now()));
  visit(count, due);
}
