/** All checks in reading order: first what visitors and deployments need, then the host below. */
import type { Check } from '../check.ts';
import { agent } from './agent.ts';
import { certificates } from './certificates.ts';
import { cgroup } from './cgroup.ts';
import { clock } from './clock.ts';
import { disk } from './disk.ts';
import { dns } from './dns.ts';
import { dockerRules } from './docker-rules.ts';
import { drift } from './drift.ts';
import { engine } from './engine.ts';
import { files } from './files.ts';
import { firewall } from './firewall.ts';
import { hostFirewall } from './host-firewall.ts';
import { hubRoute } from './hub-route.ts';
import { hub } from './hub.ts';
import { journal } from './journal.ts';
import { keys } from './keys.ts';
import { legacyRules } from './legacy-rules.ts';
import { liveRestore } from './live-restore.ts';
import { memory } from './memory.ts';
import { nftables } from './nftables.ts';
import { orphans } from './orphans.ts';
import { ports } from './ports.ts';
import { proxy } from './proxy.ts';
import { registry } from './registry.ts';
import { runtime } from './runtime.ts';
import { storage } from './storage.ts';
import { units } from './units.ts';
import { upgrade } from './upgrade.ts';

export const CHECKS: readonly Check[] = [
  proxy,
  ports,
  certificates,
  drift,
  hubRoute,
  agent,
  hub,
  clock,
  dns,
  registry,
  engine,
  runtime,
  liveRestore,
  storage,
  orphans,
  journal,
  firewall,
  dockerRules,
  hostFirewall,
  nftables,
  legacyRules,
  disk,
  memory,
  cgroup,
  units,
  upgrade,
  files,
  keys,
];
