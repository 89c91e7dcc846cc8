/** The upgrades of this host that its hub orders and gets reports of. */
import type { UpgradeNews } from '../../protocol/agent-link.ts';
import { toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { HostUpgrades } from '../hub-link/upgrades.ts';
import type { UpgradeParts } from './health.ts';
import { planUpgrade, startUpgrade } from './order.ts';
import { newsOf, readUpgrade, watchUpgrade } from './record.ts';
import type { Upgrade } from './record.ts';

/** Older news is of no use to a hub, ms. */
const NEWS_MS = 3_600_000;

export function hostUpgrades(parts: UpgradeParts, log: Logger): HostUpgrades {
  const { layout, clock } = parts;
  /** News of an order that led to no upgrade: the record then belongs to another one. */
  let answer: UpgradeNews | null = null;
  /** Id of the last order. While its release is still being looked for, it is not in the record yet. */
  let taken: string | null = null;
  let listener: (() => void) | null = null;
  let told = '';
  let unwatch: (() => void) | null = null;

  const last = (): Upgrade | null => {
    try {
      return readUpgrade(layout.record);
    } catch (error) {
      log.warn({ err: error }, 'the record of the last upgrade cannot be read');
      return null;
    }
  };
  const news = (): UpgradeNews | null => {
    if (answer !== null) return answer;
    const upgrade = last();
    return upgrade === null || clock.now() - Date.parse(upgrade.changedAt) > NEWS_MS ? null : newsOf(upgrade);
  };
  /** The record changes more often than the news derived from it. */
  const look = (): void => {
    const now = JSON.stringify(news());
    if (now !== told) listener?.();
    told = now;
  };
  const begin = async (upgradeId: string, version: string): Promise<void> => {
    const plan = await planUpgrade(parts, { version, folder: null, allowDowngrade: false });
    if (taken !== upgradeId) return; // another upgrade was ordered meanwhile
    if (plan.version === plan.from) answer = { type: 'upgrade-state', upgradeId, version, state: 'healthy' };
    else await startUpgrade(parts, plan, upgradeId);
    look();
  };

  return {
    order({ upgradeId, version }) {
      // The hub sends the order again because it has not received the news.
      if ([taken, last()?.upgradeId].includes(upgradeId)) return listener?.();
      taken = upgradeId;
      answer = null;
      begin(upgradeId, version).catch((error: unknown) => {
        log.warn({ err: error, version }, 'an upgrade that the hub ordered was not begun');
        if (taken !== upgradeId) return;
        answer = { type: 'upgrade-state', upgradeId, version, state: 'failed', error: toErrorReport(error) };
        look();
      });
    },
    news,
    onChanged(changed) {
      unwatch?.();
      unwatch = null;
      listener = changed;
      told = JSON.stringify(news());
      if (changed !== null) unwatch = watchUpgrade(layout.record, look);
    },
  };
}
