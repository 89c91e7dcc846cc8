/** When a timer has elapsed last: systemd remembers it for those with Persistent=, and does not forget it with the unit. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

const STAMPS = '/var/lib/systemd/timers';

/** @param units names of units of any kind, stopped @param folder of systemd's stamps */
export function removeTimerStamps(units: readonly string[], folder = STAMPS): void {
  for (const timer of units.filter((name) => name.endsWith('.timer')))
    rmSync(join(folder, `stamp-${timer}`), { force: true });
}
