/**
 * How long the hub has been up without a break. The clock may be wrong at the start and be corrected later, and the
 * machine may be suspended. Both are breaks like a restart: the hub could hear nothing before, so durations start anew.
 */
import type { CoreDeps, Part, Uptime } from './deps.ts';

/** Interval between two looks at the clock, ms. */
const LOOK_MS = 5_000;
/** A clock change counts as a break from this deviation, ms: more than the lag of a busy hub or an NTP adjustment. */
const BREAK_MS = 30_000;

export function makeUptime({ clock, log }: Pick<CoreDeps, 'clock' | 'log'>): Uptime & Part & { look(): void } {
  let since = clock.now().getTime();
  let seen = since;
  let timer: NodeJS.Timeout | undefined;

  function look(): number {
    const now = clock.now().getTime();
    const movedMs = now - seen;
    seen = now;
    if (Math.abs(movedMs) <= BREAK_MS) return now;
    log.warn({ movedMs }, 'the clock was set or the hub stood still: what was not heard meanwhile does not count');
    since = now;
    return now;
  }

  function from(moment: number): number {
    // A later moment was recorded while the clock was ahead.
    return moment > look() + BREAK_MS ? since : Math.max(since, moment);
  }

  return {
    from,
    elapsed: (moment) => Math.max(0, look() - from(moment)),
    look: () => void look(),
    async start() {
      timer = setInterval(look, LOOK_MS).unref();
      await Promise.resolve();
    },
    async stop() {
      clearInterval(timer);
      await Promise.resolve();
    },
  };
}
