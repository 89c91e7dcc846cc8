/** The upgrades of this host, as far as the hub orders them and hears of them. */
import type { UpgradeNews, UpgradeOrder } from '../../protocol/agent-link.ts';

export interface HostUpgrades {
  /** Begin it, unless it is the one that was ordered last. What comes of it is told by `news`, never thrown. */
  order(order: UpgradeOrder): void;
  /** Where the last one stands; null when there was none in the last hour. */
  news(): UpgradeNews | null;
  /** Called at each change of `news`; one listener, null ends it. */
  onChanged(listener: (() => void) | null): void;
}

/** Of an agent that cannot replace itself: every order fails with ORK_UPGRADE_UNSUPPORTED. @param reason a sentence */
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
