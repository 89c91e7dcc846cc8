/** What an upgrade of this host works with. */
import type { Config } from '../config.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_PATIENCE } from './health.ts';
import type { UpgradeParts } from './health.ts';
import { layoutAt } from './layout.ts';
import { systemServices } from './services.ts';

export const upgradeParts = (config: Config): UpgradeParts => ({
  layout: layoutAt(),
  config,
  services: systemServices,
  clock: systemClock,
  patience: DEFAULT_PATIENCE,
});
