/**
 * What the doctor examines: the host, by the agent's configuration. Each part is queried at most once for all checks.
 */
import type { CertificateList, HealthAnswer, TableView } from '../../protocol/proxy-admin.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../deployment/ports.ts';
import type { Identity } from '../identity/identity.ts';
import { readIdentity, scopeOf } from '../identity/identity.ts';
import { readJournal } from '../journal/snapshot.ts';
import type { JournalSnapshot, UnreadableJournal } from '../journal/snapshot.ts';
import type { Exec } from '../lib/exec.ts';
import { BEHIND_RESOLVED, ENGINE_SETTINGS, RESOLV_CONF } from '../lib/name-servers.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import type { AgentView } from '../local-api/agent-view.ts';
import { askView } from '../local-api/client.ts';
import type { NoAnswer } from '../local-api/client.ts';
import { askedEngine } from './engine-facts.ts';
import type { EngineAsked } from './engine-facts.ts';
import { lookupWith } from './host-lookup.ts';
import { askHub } from '../host-facts/hub-answer.ts';
import type { HubAnswer } from '../host-facts/hub-answer.ts';
import { once } from './once.ts';
import { programsAt } from './programs.ts';
import type { HasProgram } from './programs.ts';

/** Share of the hub's time for resolving its name, so that a slow lookup is not reported as a silent hub. */
const LOOKUP_SHARE = 0.9;

/** Paths in which kernel and system publish facts, and ports. */
export interface Places {
  readonly proc: string;
  readonly cgroup: string;
  readonly resolvConf: string;
  /** Lists the servers that systemd-resolved queries (systemd-resolved.service(8)). */
  readonly resolvedConf: string;
  /** Settings of Docker Engine. */
  readonly engineSettings: string;
  /** Exists if systemd runs the machine (sd_booted(3)). */
  readonly systemd: string;
  /** Root of the file system that holds the installation. */
  readonly root: string;
  /** Ports at which visitors arrive. */
  readonly ports: readonly number[];
}

export const HOST_PLACES: Places = {
  proc: '/proc',
  cgroup: '/sys/fs/cgroup',
  resolvConf: RESOLV_CONF,
  resolvedConf: BEHIND_RESOLVED,
  engineSettings: ENGINE_SETTINGS,
  systemd: '/run/systemd/system',
  root: '/',
  ports: [80, 443],
};

export type SubjectConfig = Pick<
  Config,
  'stateFolder' | 'agentSocket' | 'sandboxFolder' | 'proxySocket' | 'dockerSocket' | 'baseImages' | 'appsReachEdge'
>;

export interface Subject {
  readonly config: SubjectConfig;
  readonly places: Places;
  readonly clock: Clock;
  readonly exec: Exec;
  readonly has: HasProgram;
  /** Null if this host has not joined a hub. @throws OrkestrError ORK_IDENTITY_UNREADABLE */
  readonly identity: () => Identity | null;
  /** Marks everything that this agent makes; null without an identity. */
  readonly scope: () => string | null;
  readonly engine: EngineAsked;
  readonly proxy: {
    /** @throws OrkestrError ORK_PROXY_UNREACHABLE */
    table(): Promise<TableView>;
    /** @throws OrkestrError ORK_PROXY_UNREACHABLE */
    certificates(): Promise<CertificateList>;
    /** @throws OrkestrError ORK_PROXY_UNREACHABLE, ORK_TABLE_UNREADABLE */
    health(): Promise<HealthAnswer>;
  };
  journal(): Promise<JournalSnapshot | UnreadableJournal | null>;
  agent(): Promise<AgentView | NoAnswer>;
  /** Null if this host belongs to no hub. */
  hub(): Promise<HubAnswer | null>;
}

interface SubjectParts {
  readonly config: SubjectConfig;
  readonly places?: Places;
  readonly clock: Clock;
  readonly exec: Exec;
  /** How long hub, agent, proxy and engine may take, ms. */
  readonly answerMs: number;
}

export function makeSubject(parts: SubjectParts): Subject {
  const { config, places = HOST_PLACES, clock, exec, answerMs } = parts;
  const identity = (): Identity | null => readIdentity(config.stateFolder);
  const proxy = makeProxyClient(config.proxySocket, { callMs: answerMs });
  return {
    config,
    places,
    clock,
    exec,
    has: programsAt(places.root),
    identity,
    scope() {
      const known = identity();
      return known === null ? null : scopeOf(known.hostId);
    },
    engine: askedEngine(config.dockerSocket, answerMs),
    proxy: {
      table: once(() => proxy.table()),
      certificates: once(() => proxy.certificates()),
      health: once(() => proxy.health()),
    },
    journal: once(() => readJournal(config.stateFolder)),
    agent: once(() => askView(config.agentSocket, answerMs)),
    hub: once(async () => {
      const url = identity()?.hub?.url;
      return url === undefined ? null : askHub(url, clock, answerMs, lookupWith(exec, answerMs * LOOKUP_SHARE));
    }),
  };
}
