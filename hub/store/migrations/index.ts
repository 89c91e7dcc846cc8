/** Every change of the schema, in order. Never edit a released migration: add another one. */
import type { Migration } from 'kysely/migration';
import { initial } from './0001-initial.ts';
import { removals } from './0002-removals.ts';
import { buildSecrets } from './0003-build-secrets.ts';
import { buildHosts } from './0004-build-hosts.ts';
import { upgrades } from './0005-upgrades.ts';
import { history } from './0006-history.ts';
import { notifications } from './0007-notifications.ts';
import { upkeep } from './0008-upkeep.ts';
import { edge } from './0009-edge.ts';
import { certificates } from './0010-certificates.ts';
import { deletion } from './0011-deletion.ts';
import { downApps } from './0012-down-apps.ts';

export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-removals': removals,
  '0003-build-secrets': buildSecrets,
  '0004-build-hosts': buildHosts,
  '0005-upgrades': upgrades,
  '0006-history': history,
  '0007-notifications': notifications,
  '0008-upkeep': upkeep,
  '0009-edge': edge,
  '0010-certificates': certificates,
  '0011-deletion': deletion,
  '0012-down-apps': downApps,
};
