/** Watches while the unit carries out an upgrade. If the watching process ends, the upgrade goes on. */
import { existsSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import type { UpgradeParts } from './health.ts';
import { isEnded, readUpgrade } from './record.ts';
import type { Upgrade } from './record.ts';
import { UPGRADE_UNIT } from './services.ts';

const EVERY_MS = 200;
/** How long the upgrade unit may be down: systemd restarts it a second after it was killed. */
const ABANDONED_MS = 15_000;

/**
 * Passes every change of progress to `tell`, until the end.
 * @throws OrkestrError ORK_NOT_FOUND if this host was never upgraded, ORK_UPGRADE_INTERRUPTED if nothing resumes it
 */
export async function followUpgrade(parts: UpgradeParts, tell: (upgrade: Upgrade) => void): Promise<Upgrade> {
  const { layout, clock } = parts;
  let told = '';
  let carriedAt = clock.monotonic();
  for (;;) {
    const upgrade = readUpgrade(layout.record);
    if (upgrade === null) throw new OrkestrError('ORK_NOT_FOUND', 'This host has never been upgraded.');
    if (upgrade.changedAt + upgrade.doing !== told) tell(upgrade);
    told = upgrade.changedAt + upgrade.doing;
    if (isEnded(upgrade)) return upgrade;
    const now = clock.monotonic();
    if (await isCarriedOut(parts)) carriedAt = now;
    if (now - carriedAt > ABANDONED_MS) {
      const message = `The upgrade to ${upgrade.version} stopped at "${upgrade.doing}".`;
      throw new OrkestrError('ORK_UPGRADE_INTERRUPTED', message);
    }
    await clock.sleep(EVERY_MS);
  }
}

const isCarriedOut = async ({ layout, services }: UpgradeParts): Promise<boolean> =>
  existsSync(layout.upgrader) && (await services.state(UPGRADE_UNIT)).active;
