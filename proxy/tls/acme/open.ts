/** ACME, assembled: the settings, the saved state, and the authority that works with them. */
import { readFile } from 'node:fs/promises';
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Logger } from '../../../protocol/service/logger.ts';
import type { Clock } from '../../clock.ts';
import { makePrivateFolder } from '../../private-file.ts';
import { Accounts } from './accounts.ts';
import { Authority } from './authority.ts';
import type { Challenges } from './challenges.ts';
import { Ledger } from './ledger.ts';
import { canBeAsked } from './names.ts';
import type { ChallengeType } from './order.ts';
import { checkPointing, isOutside } from './pointing.ts';
import { CertificateStore } from './store.ts';
import { Transport } from './transport.ts';

export interface AcmeSettings {
  /** Directory URLs (RFC 8555 section 7.1.1), tried in this order; https only. */
  readonly directories: readonly string[];
  /** Contact address for the CAs. */
  readonly email?: string | null;
  /** PEM file of CAs to trust for the directories' own https, in addition to those that come with Node. */
  readonly caFile?: string | null;
  /** In order of preference; both by default. Leave out the one whose port is not served. */
  readonly challengeTypes?: readonly ChallengeType[];
  /** Public addresses of this host, in addition to those of its interfaces. */
  readonly publicAddresses?: readonly string[];
  /** The port of the check before a CA is asked, the one where the CA connects: 80 by default. */
  readonly httpPort?: number;
}

export interface AcmeDependencies {
  readonly log: Logger;
  readonly clock: Clock;
  readonly challenges: Challenges;
  /** From 0 to 1. */
  readonly random: () => number;
  /** All addresses of a name in DNS; empty when it has none. Rejects when DNS does not answer. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** Called when certificates were added or removed. */
  readonly changed: () => void;
}

export interface Acme {
  readonly authority: Authority;
  readonly ledger: Ledger;
  /** False for a host that none of these CAs issues for. */
  canBeAsked(host: string): boolean;
  close(): Promise<void>;
}

/**
 * @param folder for accounts, certificates and the ledger
 * @throws OrkestrError ORK_CONFIG when the CA file cannot be read; otherwise the system's error for the folder
 */
export async function openAcme(settings: AcmeSettings, folder: string, given: AcmeDependencies): Promise<Acme> {
  const { log, clock, challenges, random, resolve, changed } = given;
  const ending = new AbortController();
  const transport = new Transport(await readCa(settings.caFile ?? null), ending.signal);
  await makePrivateFolder(folder);
  const ledger = await Ledger.open(join(folder, 'ledger.json'), log);
  const pointing = {
    resolve,
    publicAddresses: settings.publicAddresses ?? [],
    httpPort: settings.httpPort ?? 80,
    challenges,
    mayProbe: isOutside,
    signal: ending.signal,
  };
  const authority = await Authority.open({
    directories: settings.directories,
    challengeTypes: settings.challengeTypes ?? ['http-01', 'tls-alpn-01'],
    log,
    clock,
    random,
    accounts: new Accounts(join(folder, 'accounts'), settings.email ?? null, transport),
    challenges,
    ledger,
    store: new CertificateStore(join(folder, 'certificates'), log),
    transport,
    checkPointing: (host) => checkPointing(host, pointing),
    sleep: (ms) => sleep(ms, undefined, { signal: ending.signal }),
    changed,
  });
  return {
    authority,
    ledger,
    canBeAsked: (host) => canBeAsked(host, settings.directories),
    close: async () => {
      const closed = authority.close();
      ending.abort();
      await closed;
      transport.close();
    },
  };
}

async function readCa(path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new OrkestrError('ORK_CONFIG', `The CA file ${path} cannot be read.`, { cause: error });
  }
}

const RESOLVE_TIMEOUT_MS = 5_000;

/**
 * A and AAAA records.
 *
 * @param servers DNS servers to use instead of this machine's
 */
export async function resolveAddresses(host: string, servers: readonly string[] = []): Promise<string[]> {
  const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  const answers = await Promise.all([resolver.resolve4(host).catch(none), resolver.resolve6(host).catch(none)]);
  return answers.flat();
}

/** The absence of a record type is a valid answer. */
function none(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENODATA' || error.code === 'ENOTFOUND') return [];
  throw error;
}
