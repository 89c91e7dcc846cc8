/** `npm run bench:cutover`: see HELP. The last line of its output is one JSON object. */
import { parseArgs } from 'node:util';
import { exitCodeOf, WrongCall } from '../../harness/script.ts';
import { benchCutover, FULL } from './bench.ts';
import type { CutoverReport } from './bench.ts';
import { percentile } from './client/tally.ts';

const HELP = `npm run bench:cutover [-- OPTIONS]

Flips one proxy process between versions of an app while clients of all kinds use it, and counts what they meet.

  --flips N           flips (default ${FULL.flips})
  --rps N             requests per second (default ${FULL.rps})
  --websockets N      WebSockets that stay open (default ${FULL.webSockets})
  --event-streams N   event streams that stay open (default ${FULL.eventStreams})
  --flip-every MS     from one flip to the next (default ${FULL.flipEveryMs})
  --help              this text

The last line is a JSON object. Exits 1 when one of failed, truncated, lateOld, newSocketsCut, noCloseFrame is not 0.`;

/** Number of flips listed individually. */
const SLOWEST = 6;

const OPTIONS = {
  flips: { type: 'string', default: String(FULL.flips) },
  rps: { type: 'string', default: String(FULL.rps) },
  websockets: { type: 'string', default: String(FULL.webSockets) },
  'event-streams': { type: 'string', default: String(FULL.eventStreams) },
  'flip-every': { type: 'string', default: String(FULL.flipEveryMs) },
  help: { type: 'boolean', default: false },
} as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const ended = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ended.abort(new Error(`${name} came`)));
  const priority = process.getuid?.() === 0;
  if (!priority) console.log('not run by root: the proxy waits for a processor as its clients do, and so do flips');
  const { report, misrouted, flipMs, tally, faults } = await benchCutover({
    ...FULL,
    flips: count('--flips', values.flips, 10_000),
    rps: count('--rps', values.rps, 20_000),
    webSockets: count('--websockets', values.websockets, 8_000),
    eventStreams: count('--event-streams', values['event-streams'], 8_000),
    flipEveryMs: count('--flip-every', values['flip-every'], 60_000),
    priority,
    signal: ended.signal,
    say: console.log,
  });
  for (const [kind, requests] of Object.entries(tally.byKind)) console.log(`${String(requests).padStart(8)} ${kind}`);
  const { versions, opened, closed, skipped } = tally;
  const ofFlips = [0.5, 0.9, 0.99].map((share) => `p${share * 100} ${percentile(flipMs, share)}`);
  console.log(`flips, ms: ${ofFlips.join(', ')}; the slowest: ${slowest(flipMs).join(', ')}`);
  console.log(`${versions} versions answered; ${closed} of ${opened} long connections were closed by a drain`);
  if (skipped > 0) console.log(`${skipped} requests were not sent: the client had no time`);
  for (const fault of faults) console.log(fault);
  console.log(JSON.stringify(report));
  return isRight(report) && misrouted === 0 ? 0 : 1;
}

const isRight = ({ failed, truncated, lateOld, newSocketsCut, noCloseFrame }: CutoverReport): boolean =>
  failed + truncated + lateOld + newSocketsCut + noCloseFrame === 0;

/** The slowest flips: "12.3 (flip 1)". A slow first flip has other causes than a slow one among many. */
const slowest = (flipMs: readonly number[]): string[] =>
  flipMs
    .map((ms, index) => ({ ms, flip: index + 1 }))
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST)
    .map(({ ms, flip }) => `${ms.toFixed(1)} (flip ${flip})`);

function count(name: string, text: string, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
  throw new WrongCall(`${name} ${text}: a whole number from 1 to ${most}`);
}

process.exitCode = await exitCodeOf(main);
