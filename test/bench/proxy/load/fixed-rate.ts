/**
 * `fixed-rate.ts URL RATE SECONDS ANSWER_BYTES`: an open loop. Requests are sent when they are due, however many are
 * still unanswered, so that every request that was due during a stall shows it (no coordinated omission). Prints
 * {"p50","p99","late99"}, ms; late99 is how late this program itself sent.
 */
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { percentile } from './percentile.ts';

/** Fewer than a proxy allows per address. When all are busy, undici makes requests wait, and the wait counts. */
const MAX_CONNECTIONS = 1024;
/** Timers have whole milliseconds: a delay up to this is due to the timer and not to the proxy. */
const TIMER_MS = 2;
const WARM_UP_SECONDS = 1;
/** From the last request until unanswered ones are given up, ms. */
const PATIENCE_MS = 10_000;

interface Shot {
  readonly latency: number;
  readonly late: number;
}

async function main([target = '', rate = '', seconds = '', answerBytes = '']: readonly string[]): Promise<void> {
  const url = new URL(target);
  const pool = new Pool(url.origin, { connections: MAX_CONNECTIONS, pipelining: 1, connect: { family: 4 } });
  const shoot = (due: number): Promise<Shot> => fire(pool, url.pathname, due, Number(answerBytes));
  await volley(shoot, Number(rate), WARM_UP_SECONDS);
  const shots = await volley(shoot, Number(rate), Number(seconds));
  await pool.close();
  const latencies = Float64Array.from(shots, ({ latency }) => latency).sort();
  const late = Float64Array.from(shots, ({ late }) => late).sort();
  const figures = { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), late99: percentile(late, 0.99) };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

/** Rejects when a request failed. */
async function volley(shoot: (due: number) => Promise<Shot>, rate: number, seconds: number): Promise<Shot[]> {
  const began = performance.now();
  const shots: Promise<Shot>[] = [];
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const due = Math.min(Math.floor(((performance.now() - began) * rate) / 1000), rate * seconds);
      while (shots.length < due) shots.push(shoot(began + (shots.length * 1000) / rate));
      if (due < rate * seconds) setTimeout(tick, 1);
      else resolve();
    };
    tick();
  });
  const giveUp = setTimeout(() => {
    throw new Error(`answers are missing ${PATIENCE_MS} ms after the last request`);
  }, PATIENCE_MS);
  const done = await Promise.all(shots);
  clearTimeout(giveUp);
  return done;
}

function fire(pool: Dispatcher, path: string, due: number, answerBytes: number): Promise<Shot> {
  const sent = performance.now();
  const from = sent - due > TIMER_MS ? due : sent;
  return new Promise((resolve, reject) => {
    let status = 0;
    let bytes = 0;
    pool.dispatch(
      { path, method: 'GET' },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, statusCode) => {
          status = statusCode;
        },
        onResponseData: (_controller, chunk) => {
          bytes += chunk.length;
        },
        onResponseEnd: () => {
          if (status === 200 && bytes === answerBytes) resolve({ latency: performance.now() - from, late: sent - due });
          else reject(new Error(`answered ${status} with ${bytes} bytes`));
        },
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

await main(process.argv.slice(2));
