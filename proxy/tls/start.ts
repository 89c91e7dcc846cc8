/** TLS of the proxy, assembled: certificates from files and from ACME, and the terminator that uses them. */
import { join } from 'node:path';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CertificateList } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import { Challenges } from './acme/challenges.ts';
import { resolveAddresses } from './acme/open.ts';
import type { AcmeSettings } from './acme/open.ts';
import { AcmeOpening } from './acme/opening.ts';
import { inOrder, isValidAt, names } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { CertificateFolder } from './certificate-folder.ts';
import { Feed } from './feed.ts';
import type { OnChange } from './feed.ts';
import type { TerminatorState } from './state.ts';
import { Stapler } from './stapler.ts';
import { StaticTerminator } from './static-terminator.ts';
import { viewCertificates } from './view.ts';

interface TlsSettings {
  /** Folder of NAME.crt and NAME.key files. */
  readonly certificatesFolder?: string | null;
  /** Folder for our own files; ACME uses `acme/` in it. */
  readonly stateDirectory: string;
  readonly acme: AcmeSettings | null;
}

interface TlsDependencies {
  readonly log: Logger;
  readonly clock: Clock;
  /** Called with each change. A CA is asked to validate a challenge only after the promise has resolved. */
  readonly onChange?: OnChange;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** All addresses of a name by DNS; empty when it has none. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Time between two looks at the folder and at what is due, ms. */
  readonly lookMs?: number;
}

export interface Tls {
  readonly terminator: StaticTerminator;
  /** The current state, which a worker that starts must get first. */
  state(): TerminatorState;
  /** Sets the hosts that visitors use, wildcards included. Call it at each change of the table. */
  wanted(hosts: readonly string[]): void;
  view(): CertificateList;
  /**
   * Requests now the certificate of a host that waits after a failure, without waiting for the result.
   * @returns false when the host does not wait
   * @throws OrkestrError ORK_NOT_FOUND when no CA is asked for it
   */
  retry(host: string): Promise<boolean>;
  /** Checks the folder and does what is due now, instead of at the next look. */
  look(): Promise<void>;
  close(): Promise<void>;
}

const LOOK_MS = 5_000;
/** How long a ticket key is used, ms. A stolen key decrypts only what was sent in that time. */
const TICKET_KEY_MS = 43_200_000;

/**
 * Resolves once all existing certificates can be used.
 *
 * @throws OrkestrError ORK_CONFIG; the content of folders and files never stops the start
 */
export async function startTls(settings: TlsSettings, dependencies: TlsDependencies): Promise<Tls> {
  const tls = new CertificateManager(settings, dependencies);
  await tls.start(dependencies.lookMs ?? LOOK_MS);
  return tls;
}

class CertificateManager implements Tls {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #folder: CertificateFolder | null;
  readonly #acme: AcmeOpening;
  readonly #stapler: Stapler;
  readonly #feed: Feed;
  /** Null until `wanted` is called. */
  #hosts: readonly string[] | null = null;
  #rotation: NodeJS.Timeout | undefined;
  #looks: { end(): Promise<void> } | null = null;

  constructor(settings: TlsSettings, dependencies: TlsDependencies) {
    const { log, clock, onChange, random = Math.random, resolve = resolveAddresses } = dependencies;
    this.#log = log;
    this.#clock = clock;
    this.#folder = settings.certificatesFolder ? new CertificateFolder(settings.certificatesFolder, log) : null;
    this.#feed = new Feed(new StaticTerminator(clock), log, onChange);
    this.#stapler = new Stapler(join(settings.stateDirectory, 'ocsp.json'), log, clock);
    const challenges = new Challenges((open) => this.#feed.send({ challenges: open }));
    const changed = (): void => this.#refresh();
    const given = { log, clock, challenges, random, resolve, changed };
    this.#acme = new AcmeOpening(settings.acme, join(settings.stateDirectory, 'acme'), given);
  }

  /** @param lookMs time between two looks */
  async start(lookMs: number): Promise<void> {
    await Promise.all([this.#folder?.scan(), this.#stapler.load(), this.#acme.open()]);
    this.#refresh();
    this.#feed.rotate();
    this.#rotation = setInterval(() => this.#feed.rotate(), TICKET_KEY_MS).unref();
    void this.#staple();
    this.#looks = repeat(lookMs, async () => {
      await this.#scan();
      // Not awaited: they may take long, and certificate files must not wait for them.
      void this.#obtain();
      void this.#staple();
    });
  }

  get terminator(): StaticTerminator {
    return this.#feed.terminator;
  }

  state(): TerminatorState {
    return this.#feed.state;
  }

  wanted(hosts: readonly string[]): void {
    this.#hosts = [...new Set(hosts)].filter((name) => !isLoopbackName(name));
    void this.#obtain();
  }

  view(): CertificateList {
    const { opened: acme, fault: acmeFault } = this.#acme;
    const [folder, stapler] = [this.#folder, this.#stapler];
    const certificates = this.#all();
    return viewCertificates({
      hosts: this.#hosts ?? [],
      certificates,
      folder,
      acme,
      acmeFault,
      stapler,
      now: this.#now,
    });
  }

  async retry(host: string): Promise<boolean> {
    const acme = this.#acme.opened;
    if (acme === null || !this.#orders(this.#hosts ?? []).includes(host)) throw nobodyAsks(host);
    const changed = await acme.authority.retry(host);
    void this.#obtain();
    return changed;
  }

  async look(): Promise<void> {
    await this.#scan();
    await this.#obtain();
    await this.#staple();
  }

  async close(): Promise<void> {
    clearInterval(this.#rotation);
    await this.#looks?.end();
    await this.#acme.opened?.close();
  }

  get #now(): number {
    return this.#clock.now().getTime();
  }

  #all(): Certificate[] {
    const obtained = this.#acme.opened?.authority.certificates ?? [];
    return inOrder([...(this.#folder?.certificates ?? []), ...obtained], this.#now);
  }

  #refresh(): void {
    this.#feed.certificates(this.#all(), (certificate) => this.#stapler.stapleOf(certificate));
  }

  async #scan(): Promise<void> {
    try {
      await Promise.all([this.#folder?.scan(), this.#acme.open()]);
      this.#refresh();
    } catch (error) {
      // Broken files are handled inside; any other error must not stop the looks.
      const fields = { error: toErrorReport(error).message };
      this.#log.error(fields, 'certificates could not be looked at; again at the next look');
    }
  }

  async #obtain(): Promise<void> {
    try {
      if (this.#hosts !== null) await this.#acme.opened?.authority.want(this.#orders(this.#hosts));
    } catch (error) {
      // Failures of hosts are handled inside; any other error must not stop the looks.
      const fields = { error: toErrorReport(error).message };
      this.#log.error(fields, 'certificates by ACME stopped; going on at the next look');
    }
  }

  async #staple(): Promise<void> {
    if (await this.#stapler.refresh(this.#all())) this.#refresh();
  }

  /** The hosts to request: files cover the others, and no challenge type of ours can prove wildcards. */
  #orders(hosts: readonly string[]): string[] {
    const now = this.#now;
    const hasFile = (host: string): boolean =>
      this.#folder?.certificates.some((one) => names(one, host) && isValidAt(one, now)) ?? false;
    const acme = this.#acme.opened;
    return hosts.filter((host) => !host.startsWith('*.') && acme?.canBeAsked(host) === true && !hasFile(host));
  }
}

const nobodyAsks = (host: string): OrkestrError =>
  new OrkestrError(
    'ORK_NOT_FOUND',
    `No certificate is requested for ${host}: no CA is configured or issues for such names, a file covers it, its https is off, or no app has the domain.`,
  );

/** Runs `work` repeatedly, `ms` after its last end, so that runs never overlap. */
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

/** Names that never leave a machine (RFC 6761, section 6.3): browsers trust them as they are, and no CA issues them. */
const isLoopbackName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');
