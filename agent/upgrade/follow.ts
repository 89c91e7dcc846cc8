/** Looks on while an upgrade is carried out by its unit. Who goes away meanwhile changes nothing. */
import { existsSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import type { UpgradeParts } from './health.ts';
import { isEnded, readUpgrade } from './record.ts';
import type { Upgrade } from './record.ts';
import { UPGRADE_UNIT } from './services.ts';

const EVERY_MS = 200;
/** So long may nobody carry it out: systemd starts one that was killed a second later. */
const ABANDONED_MS = 15_000;

/**
 * Tells every change of what is being done, until the end.
 * @throws OrkestrError ORK_NOT_FOUND when this host was never upgraded, ORK_UPGRADE_INTERRUPTED when nobody goes on with it
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
