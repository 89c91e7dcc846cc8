/** Stamps of when timers last elapsed: systemd keeps them for timers with Persistent=, even after the unit is gone. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

const STAMPS = '/var/lib/systemd/timers';

/** @param units names of stopped units of any kind @param folder systemd's folder of stamps */
export function removeTimerStamps(units: readonly string[], folder = STAMPS): void {
  for (const timer of units.filter((name) => name.endsWith('.timer')))
    rmSync(join(folder, `stamp-${timer}`), { force: true });
}
