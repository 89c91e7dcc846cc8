/** TLS of the proxy put together: certificates from files and from ACME, and the terminator that is fed with them. */
import { join } from 'node:path';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CertificateList } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import { Challenges } from './acme/challenges.ts';
import { openAcme, resolveAddresses } from './acme/open.ts';
import type { Acme, AcmeSettings } from './acme/open.ts';
import { inOrder, isValidAt, names } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { CertificateFolder } from './certificate-folder.ts';
import { Feed } from './feed.ts';
import type { OnChange } from './feed.ts';
import type { TerminatorState } from './state.ts';
import { Stapler } from './stapler.ts';
import type { AskResponder } from './stapler.ts';
import { StaticTerminator } from './static-terminator.ts';
import { viewCertificates } from './view.ts';

interface TlsSettings {
  /** Folder of NAME.crt and NAME.key files. */
  readonly certificatesFolder?: string | null;
  /** Folder for what is made here: `acme/` in it. */
  readonly stateDirectory: string;
  readonly acme: AcmeSettings | null;
}

interface TlsDependencies {
  readonly log: Logger;
  readonly clock: Clock;
  /** Called with each change. A CA is asked to look at a challenge when the promise has resolved. */
  readonly onChange?: OnChange;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** All addresses of a name by DNS; empty when it has none. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Asks an OCSP responder. */
  readonly askResponder?: AskResponder;
  /** Time between two looks at the folder and at what is due, ms. */
  readonly lookMs?: number;
}

export interface Tls {
  readonly terminator: StaticTerminator;
  /** All there is now: what a worker that starts must be told first. */
  state(): TerminatorState;
  /** The hosts that visitors use now, wildcards included; to be called at each change of the table. */
  wanted(hosts: readonly string[]): void;
  view(): CertificateList;
  /**
   * Asks for the certificate of a host that waits after a failure, now. Does not wait for it.
   * @returns false when it does not wait
   * @throws OrkestrError ORK_NOT_FOUND when no CA is asked for it
   */
  retry(host: string): Promise<boolean>;
  /** Looks at the folder and does what is due, now instead of at the next look. */
  look(): Promise<void>;
  close(): Promise<void>;
}

const LOOK_MS = 5_000;
const OWNER = 'All in it must belong to the user that the proxy runs as.';
/** A key that was stolen opens what was sent in this time, no more. */
const TICKET_KEY_MS = 43_200_000;
/**
 * Resolves when all certificates that there are can be used.
 *
 * @throws OrkestrError ORK_CONFIG; what stands in folders and files never stops the start
 */
export async function startTls(settings: TlsSettings, dependencies: TlsDependencies): Promise<Tls> {
  const { log, clock, onChange, random = Math.random, resolve = resolveAddresses, lookMs = LOOK_MS } = dependencies;
  const folder = settings.certificatesFolder ? new CertificateFolder(settings.certificatesFolder, log) : null;
  const feed = new Feed(new StaticTerminator(clock), log, onChange);
  /** Null until it was told. */
  let hosts: readonly string[] | null = null;
  let acme: Acme | null = null;
  /** Why ACME does not work though it is set, with its code. */
  let acmeFault: string | null = null;
  const stapler = new Stapler(join(settings.stateDirectory, 'ocsp.json'), log, clock, dependencies.askResponder);
  const now = (): number => clock.now().getTime();
  const all = (): Certificate[] =>
    inOrder([...(folder?.certificates ?? []), ...(acme?.authority.certificates ?? [])], now());
  const refresh = (): void => feed.certificates(all(), (certificate) => stapler.stapleOf(certificate));

  /** What files cover is not asked for. Wildcards cannot be. */
  const orders = (all: readonly string[]): string[] =>
    all.filter(
      (host) =>
        !host.startsWith('*.') && !folder?.certificates.some((one) => names(one, host) && isValidAt(one, now())),
    );
  const obtain = async (): Promise<void> => {
    try {
      if (hosts !== null) await acme?.authority.want(orders(hosts));
    } catch (error) {
      // Failures of hosts are dealt with inside; whatever else it is must not end the looks.
      log.error({ error: toErrorReport(error).message }, 'certificates by ACME stopped; going on at the next look');
    }
  };
  const staple = async (): Promise<void> => {
    if (await stapler.refresh(all())) refresh();
  };
  const scan = async (): Promise<void> => {
    try {
      await Promise.all([folder?.scan(), openInTurn()]);
      refresh();
    } catch (error) {
      // Broken files are dealt with inside; whatever else it is must not end the looks.
      log.error({ error: toErrorReport(error).message }, 'certificates could not be looked at; again at the next look');
    }
  };

  const challenges = new Challenges((open) => feed.send({ challenges: open }));
  /** Files that cannot be read must not stop the edge: they are tried again at each look. */
  const open = async (): Promise<void> => {
    if (settings.acme === null || acme !== null) return;
    const path = join(settings.stateDirectory, 'acme');
    try {
      acme = await openAcme(settings.acme, path, { log, clock, challenges, random, resolve, changed: refresh });
      acmeFault = null;
    } catch (error) {
      if (error instanceof OrkestrError && error.code === 'ORK_CONFIG') throw error;
      const fault = `ORK_CERTIFICATE_UNUSABLE: ${path} cannot be used: ${toErrorReport(error).message}. ${OWNER}`;
      if (fault !== acmeFault) log.error({ error: fault }, 'no certificates by ACME until its files can be used');
      acmeFault = fault;
    }
  };
  /** Of two looks at once the second waits for the first: there is to be one account, and one who asks. */
  let opening: Promise<void> = Promise.resolve();
  const openInTurn = (): Promise<void> => {
    opening = opening.then(open, open);
    return opening;
  };

  await Promise.all([folder?.scan(), stapler.load(), openInTurn()]);
  refresh();
  feed.rotate();
  const rotation = setInterval(() => feed.rotate(), TICKET_KEY_MS).unref();
  void staple();
  const looks = repeat(lookMs, async () => {
    await scan();
    // They take their time; files must not wait for them.
    void obtain();
    void staple();
  });
  return {
    terminator: feed.terminator,
    state: () => feed.state,
    wanted: (names) => {
      hosts = [...new Set(names)].filter((name) => !isLoopbackName(name));
      void obtain();
    },
    view: () =>
      viewCertificates({ hosts: hosts ?? [], certificates: all(), folder, acme, acmeFault, stapler, now: now() }),
    retry: async (host) => {
      if (acme === null || !orders(hosts ?? []).includes(host)) throw nobodyAsks(host);
      const changed = await acme.authority.retry(host);
      void obtain();
      return changed;
    },
    look: async () => {
      await scan();
      await obtain();
      await staple();
    },
    close: async () => {
      clearInterval(rotation);
      await looks.end();
      await acme?.close();
    },
  };
}

const nobodyAsks = (host: string): OrkestrError =>
  new OrkestrError(
    'ORK_NOT_FOUND',
    `No certificate is requested for ${host}: no CA is configured, a file covers it, its https is off, or no app has the domain.`,
  );

/** Runs `work` again and again, `ms` after its end; never twice at once. */
function repeat(ms: number, work: () => Promise<void>): { end(): Promise<void> } {
  let running = Promise.resolve();
  let ended = false;
  let timer: NodeJS.Timeout;
  const again = (): void => {
    if (ended) return;
    timer = setTimeout(() => {
      running = work().finally(again);
    }, ms).unref();
  };
  again();
  return {
    end: async () => {
      ended = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Names that never leave a machine (RFC 6761, section 6.3): browsers trust them as they are, and no CA knows them. */
const isLoopbackName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');
