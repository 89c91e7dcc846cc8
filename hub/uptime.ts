/**
 * How long the hub has been up without a break. Its clock may be wrong when it starts and be set right later, and its machine may
 * be suspended: either is a break like a restart, before which nothing could be heard, and what is counted begins anew.
 */
import type { CoreDeps, Part, Uptime } from './deps.ts';

/** How often the clock is looked at, ms. */
const LOOK_MS = 5_000;
/** By which the clock must have moved otherwise than time does, ms: more than a busy hub or a clock that is kept in time is off. */
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
    // What is further ahead was noted by a clock that was.
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
