/** The upgrades of this host that the hub orders and gets reports of. */
import type { UpgradeNews, UpgradeOrder } from '../../protocol/agent-link.ts';

export interface HostUpgrades {
  /** Begins the upgrade, unless it is the one ordered last. Its result is in `news`, never thrown. */
  order(order: UpgradeOrder): void;
  /** State of the last upgrade; null if there was none in the last hour. */
  news(): UpgradeNews | null;
  /** Called at each change of `news`. One listener at a time; null removes it. */
  onChanged(listener: (() => void) | null): void;
}

/** For an agent that cannot replace itself: every order fails with ORK_UPGRADE_UNSUPPORTED. @param reason a sentence */
export function noUpgrades(reason: string): HostUpgrades {
  let news: UpgradeNews | null = null;
  let changed: (() => void) | null = null;
  return {
    order({ upgradeId, version }) {
      const error = { code: 'ORK_UPGRADE_UNSUPPORTED' as const, message: reason, evidence: [] };
      news = { type: 'upgrade-state', upgradeId, version, state: 'failed', error };
      changed?.();
    },
    news: () => news,
    onChanged: (listener) => void (changed = listener),
  };
}
