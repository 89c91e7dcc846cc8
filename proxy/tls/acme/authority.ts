/**
 * Obtains and renews certificates by ACME. It places one order at a time, so that hosts do not disturb each other. A
 * host whose order failed waits, and others are served meanwhile.
 */
import { toErrorReport } from '../../../protocol/errors.ts';
import { readCertificate } from '../certificate.ts';
import type { Certificate } from '../certificate.ts';
import { notBefore, waitAfter, waitAfterInterruption } from './back-off.ts';
import { Directories } from './directories.ts';
import type { DirectoriesDependencies, IssuedBy } from './directories.ts';
import type { Issued } from './order.ts';
import { AcmeProblem } from './problem.ts';
import { RenewalAdvice } from './renewal-advice.ts';
import type { RenewalDependencies } from './renewal-advice.ts';
import { renewAtOf } from './renewal.ts';
import type { CertificateStore } from './store.ts';
import { tryWrite } from './try-write.ts';

interface AuthorityDependencies extends DirectoriesDependencies, RenewalDependencies {
  /** From 0 to 1. */
  readonly random: () => number;
  readonly store: CertificateStore;
  /** Rejects when the host does not point to this machine. */
  readonly checkPointing: (host: string) => Promise<void>;
  /** Called when certificates were added or removed. */
  readonly changed: () => void;
}

export class Authority {
  readonly #deps: AuthorityDependencies;
  readonly #directories: Directories;
  readonly #advice: RenewalAdvice;
  readonly #certificates: Map<string, Certificate>;
  /** Issued certificates that could not be saved yet, by host. */
  readonly #unsaved = new Map<string, Issued>();
  /** Hosts to request at once, because somebody asked for it. */
  readonly #urged = new Set<string>();
  #wanted: readonly string[] | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #closed = false;
  /** The host whose certificate is being requested now. */
  current: string | null = null;

  private constructor(deps: AuthorityDependencies, certificates: Map<string, Certificate>) {
    this.#deps = deps;
    this.#directories = new Directories(deps, () => this.#closed);
    this.#advice = new RenewalAdvice(deps, () => this.#closed);
    this.#certificates = certificates;
  }

  static async open(deps: AuthorityDependencies): Promise<Authority> {
    return new Authority(deps, await deps.store.load());
  }

  get certificates(): readonly Certificate[] {
    return [...new Set(this.#certificates.values())];
  }

  /** When the host's certificate is renewed, ms since 1970; null when it has none or nobody wants it any more. */
  renewAt(host: string): number | null {
    const certificate = this.#certificates.get(host);
    if (!certificate || !this.#wanted?.includes(host)) return null;
    const renewal = this.#deps.ledger.renewalOf(host);
    return renewAtOf(certificate, renewal?.fingerprint === certificate.fingerprint ? renewal : null, this.#now());
  }

  /** Sets the hosts to have certificates for. Resolves once everything that is due is done. */
  async want(hosts: readonly string[]): Promise<void> {
    this.#wanted = hosts;
    await this.work();
  }

  /**
   * Lets the next work request the certificate of a host that waits after a failure, even from a directory at rest.
   * @returns false when the host does not wait
   */
  async retry(host: string): Promise<boolean> {
    const failure = this.#deps.ledger.failureOf(host);
    if (failure === null || this.current === host || (this.renewAt(host) ?? 0) > this.#now()) return false;
    this.#urged.add(host);
    await this.#deps.ledger.setFailure(host, { ...failure, retryAt: this.#inFuture(0) });
    return true;
  }

  /** Does what is due. Calls never work in parallel. */
  async work(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run();
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#round();
      }
    } finally {
      this.#running = null; // in the same turn as the last check: a call in between would wait for the next look
    }
  }

  async #round(): Promise<void> {
    await this.#clean();
    for (let host = this.#nextDue(); host !== null && !this.#closed; host = this.#nextDue()) {
      this.current = host;
      await this.#obtain(host);
      this.current = null;
    }
    await this.#askRenewals();
  }

  /** Hosts without a certificate come first, then the one whose certificate ends first. */
  #nextDue(): string | null {
    const now = this.#now();
    const due = (this.#wanted ?? []).filter((host) => this.#dueAt(host) <= now);
    const end = (host: string): number => this.#certificates.get(host)?.notAfter ?? 0;
    return due.toSorted((a, b) => end(a) - end(b))[0] ?? null;
  }

  #dueAt(host: string): number {
    const failure = this.#deps.ledger.failureOf(host);
    return Math.max(this.renewAt(host) ?? 0, failure ? notBefore(failure.retryAt, this.#now()) : 0);
  }

  async #obtain(host: string): Promise<void> {
    const { ledger, log, random } = this.#deps;
    const before = ledger.failureOf(host);
    try {
      const interrupted = (before?.interrupted ?? 0) + 1;
      await ledger.setFailure(host, {
        ...(before ?? { tries: 1, code: 'ORK_INTERRUPTED', message: 'The proxy ended in the middle of the order.' }),
        interrupted,
        retryAt: this.#inFuture(waitAfterInterruption(interrupted)),
      });
      await this.#deps.checkPointing(host);
      const issued = await this.#directories.issue({
        host,
        replaced: this.#certificates.get(host),
        failedValidations: before?.code === 'ORK_ACME_CHALLENGE' ? before.tries : 0,
        isUrged: this.#urged.delete(host),
      });
      await this.#accept(host, issued);
    } catch (error) {
      // The ledger has the interruption already; the next try will report its own failure.
      if (this.#closed) return;
      const { code, message } = toErrorReport(error);
      const tries = before?.code === code ? before.tries + 1 : 1;
      const wait = waitAfter(code, tries, error instanceof AcmeProblem ? error.retryAfterMs : null, random());
      const retryAt = this.#inFuture(wait);
      log.warn({ host, code, error: message, tries, retryAt }, 'no certificate for a host');
      await tryWrite(log, 'failure', () => ledger.setFailure(host, { tries, interrupted: 0, retryAt, code, message }));
    }
  }

  async #accept(host: string, { directory, ...issued }: IssuedBy): Promise<void> {
    const certificate = readCertificate('acme', issued.chain, issued.privateKey);
    const fault = this.#faultOf(certificate, host);
    if (fault !== null) {
      throw new AcmeProblem('ORK_ACME_REFUSED', `${new URL(directory).host} sent a certificate that ${fault}`);
    }
    this.#certificates.set(host, certificate);
    this.#unsaved.set(host, issued);
    this.#deps.changed();
    const { fingerprint, notAfter, issuer } = certificate;
    this.#deps.log.info({ host, issuer, directory, notAfter: new Date(notAfter) }, 'certificate issued');
    const now = new Date(this.#now()).toISOString();
    await this.#save();
    await tryWrite(this.#deps.log, 'success', async () => {
      await this.#deps.ledger.setFailure(host, null);
      await this.#deps.ledger.setRenewal(host, {
        fingerprint,
        directory,
        issuedAt: now,
        window: null,
        askAgainAt: now,
      });
    });
  }

  #faultOf({ hosts, notAfter }: Certificate, host: string): string | null {
    if (!hosts.includes(host)) return `is not for ${host} but for ${hosts.join(', ')}`;
    if (notAfter > this.#now()) return null;
    return `ended at ${new Date(notAfter).toISOString()} by the clock of this machine`;
  }

  /** A certificate that cannot be saved is used from memory, and saving it is tried again. */
  async #save(): Promise<void> {
    for (const [host, issued] of this.#unsaved) {
      await tryWrite(this.#deps.log, 'certificate', async () => {
        await this.#deps.store.save(host, issued);
        this.#unsaved.delete(host);
      });
    }
  }

  /** Keeps unwanted certificates while they are valid: their host may come back with the next deployment. */
  async #clean(): Promise<void> {
    await this.#save();
    const wanted = this.#wanted;
    if (wanted === null) return;
    const now = this.#now();
    for (const [host, { notAfter }] of this.#certificates) {
      if (wanted.includes(host) || notAfter > now) continue;
      this.#certificates.delete(host);
      this.#deps.changed();
      await tryWrite(this.#deps.log, 'removal', async () => {
        await this.#deps.store.remove(host);
        await this.#deps.ledger.setRenewal(host, null);
      });
    }
    const isOld = (host: string, { retryAt }: { retryAt: string }) =>
      !wanted.includes(host) && Date.parse(retryAt) < now;
    await tryWrite(this.#deps.log, 'failures', () => this.#deps.ledger.forget(isOld));
  }

  /** One at a time, and only while no host waits for a certificate: a response may take half a minute. */
  async #askRenewals(): Promise<void> {
    for (const host of this.#wanted ?? []) {
      const certificate = this.#certificates.get(host);
      const renewal = this.#deps.ledger.renewalOf(host);
      if (!certificate || renewal?.fingerprint !== certificate.fingerprint || !this.#advice.mayAsk(renewal)) continue;
      if (this.#closed || this.#nextDue() !== null) break;
      await this.#advice.ask(host, certificate, renewal);
    }
    this.#again ||= this.#nextDue() !== null;
  }

  #now(): number {
    return this.#deps.clock.now().getTime();
  }

  #inFuture(ms: number): string {
    return new Date(this.#now() + ms).toISOString();
  }
}
