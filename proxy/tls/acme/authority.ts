/**
 * Obtains and renews certificates by ACME. It places one order at a time, so that hosts do not disturb each other. A
 * host whose order failed waits, and others are served meanwhile.
 */
import { toErrorReport } from '../../../protocol/errors.ts';
import type { Logger } from '../../../protocol/service/logger.ts';
import type { Clock } from '../../clock.ts';
import { readCertificate } from '../certificate.ts';
import type { Certificate } from '../certificate.ts';
import type { Accounts } from './accounts.ts';
import { LONGEST_WAIT_MS, waitAfter, waitAfterInterruption } from './back-off.ts';
import type { Challenges } from './challenges.ts';
import type { Ledger, Renewal } from './ledger.ts';
import { placeOrder } from './order.ts';
import type { BegunOrder, ChallengeType, Issued } from './order.ts';
import { AcmeProblem } from './problem.ts';
import { askRenewalInfo, certificateIdOf, renewAtOf } from './renewal.ts';
import type { CertificateStore } from './store.ts';
import type { Transport } from './transport.ts';

/** How long a directory that did not respond is left alone if it sent no Retry-After, ms. */
const REST_MS = 300_000;
/** Longest rest of a directory that limited two hosts, ms: its limit may end earlier, or not apply to all hosts. */
const LIMIT_REST_MS = 3_600_000;

interface AuthorityDependencies {
  readonly directories: readonly string[];
  /** In order of preference; after a failed validation the next one is used. */
  readonly challengeTypes: readonly ChallengeType[];
  readonly log: Logger;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly accounts: Accounts;
  readonly challenges: Challenges;
  readonly ledger: Ledger;
  readonly store: CertificateStore;
  readonly transport: Transport;
  /** Rejects when the host does not point to this machine. */
  readonly checkPointing: (host: string) => Promise<void>;
  /** Rejects when the proxy ends. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Called when certificates were added or removed. */
  readonly changed: () => void;
}

export class Authority {
  readonly #deps: AuthorityDependencies;
  readonly #certificates: Map<string, Certificate>;
  /** Issued certificates that could not be saved yet, by host. */
  readonly #unsaved = new Map<string, Issued>();
  /** Orders by host that their CA has not decided yet. Placing another would count against the CA's limits. */
  readonly #begun = new Map<string, BegunOrder & { readonly directory: string }>();
  /** Directory → the host for which it last reported a rate limit. */
  readonly #limited = new Map<string, string>();
  /** Directories that did not respond about renewals → until when not to ask them. */
  readonly #silentUntil = new Map<string, string>();
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
    return Math.max(this.renewAt(host) ?? 0, failure ? this.#notBefore(failure.retryAt) : 0);
  }

  /** A time beyond the longest wait was written with a wrong clock and does not count. */
  #notBefore(time: string | null): number {
    const at = time === null ? 0 : Date.parse(time);
    return at > this.#now() + LONGEST_WAIT_MS ? 0 : at;
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
      await this.#accept(host, await this.#issue(host, before?.code === 'ORK_ACME_CHALLENGE' ? before.tries : 0));
    } catch (error) {
      // The ledger has the interruption already; the next try will report its own failure.
      if (this.#closed) return;
      const { code, message } = toErrorReport(error);
      const tries = before?.code === code ? before.tries + 1 : 1;
      const wait = waitAfter(code, tries, error instanceof AcmeProblem ? error.retryAfterMs : null, random());
      const retryAt = this.#inFuture(wait);
      log.warn({ host, code, error: message, tries, retryAt }, 'no certificate for a host');
      await this.#write('failure', () => ledger.setFailure(host, { tries, interrupted: 0, retryAt, code, message }));
    }
  }

  /** Tries the directories in turn. A failed validation is the host's own fault and would fail at the others, too. */
  async #issue(host: string, offset: number): Promise<Issued & { directory: string }> {
    const { ledger, directories } = this.#deps;
    const why = 'No CA takes an order now: each did not answer, or told of a limit, and is left alone for a while';
    let last = new AcmeProblem('ORK_ACME_UNREACHABLE', why, {
      retryAfterMs: Math.max(
        0,
        Math.min(...directories.map((url) => this.#notBefore(ledger.restOf(url)))) - this.#now(),
      ),
    });
    const isUrged = this.#urged.delete(host);
    for (const directory of directories) {
      if (!isUrged && this.#notBefore(ledger.restOf(directory)) > this.#now()) continue;
      try {
        const issued = await this.#order(host, directory, offset);
        this.#limited.delete(directory);
        return { ...issued, directory };
      } catch (error) {
        if (!(error instanceof AcmeProblem) || error.code === 'ORK_ACME_CHALLENGE' || this.#closed) throw error;
        last = error;
        const restMs = this.#restAfter(error, host, directory);
        if (restMs > 0) await this.#write('rest', () => ledger.setRest(directory, this.#inFuture(restMs)));
        this.#deps.log.warn({ host, directory, code: error.code, error: error.message }, 'a CA did not issue');
      }
    }
    throw last;
  }

  /**
   * How long a directory is left alone, ms. A rate limit may apply to one name, to the account or to this address. If a
   * second host meets one right after the first, it is not specific to a name, and the others need not try.
   */
  #restAfter({ code, retryAfterMs }: AcmeProblem, host: string, directory: string): number {
    if (code === 'ORK_ACME_UNREACHABLE') return retryAfterMs ?? REST_MS;
    if (code !== 'ORK_ACME_LIMIT') return 0;
    const before = this.#limited.get(directory) ?? host;
    this.#limited.set(directory, host);
    return before === host ? 0 : Math.min(retryAfterMs ?? LIMIT_REST_MS, LIMIT_REST_MS);
  }

  async #order(host: string, directory: string, offset: number): Promise<Issued> {
    const begun = this.#begun.get(host);
    try {
      const issued = await this.#place(host, directory, offset, begun?.directory === directory ? begun : null);
      this.#begun.delete(host);
      return issued;
    } catch (error) {
      // An order that is late, or whose CA is unreachable, may still be issued.
      if (!(error instanceof AcmeProblem) || error.code !== 'ORK_ACME_UNREACHABLE') this.#begun.delete(host);
      throw error;
    }
  }

  async #place(host: string, directory: string, offset: number, begun: BegunOrder | null): Promise<Issued> {
    const { accounts, challenges, challengeTypes, ledger, sleep } = this.#deps;
    const replaced = this.#certificates.get(host);
    // Only the CA that issued the certificate knows it.
    const isSame = replaced && ledger.renewalOf(host)?.directory === directory && ledger.renewalOf(host)?.window;
    const replaces = isSame ? await certificateIdOf(replaced) : null;
    const at = offset % challengeTypes.length;
    const types = [...challengeTypes.slice(at), ...challengeTypes.slice(0, at)];
    return accounts.use(directory, (client) =>
      placeOrder(
        { host, challengeTypes: types, replaces, begun },
        {
          client,
          challenges,
          sleep,
          begun: (order) => this.#begun.set(host, { ...order, directory }),
          who: new URL(directory).host,
        },
      ),
    );
  }

  async #accept(host: string, { directory, ...issued }: Issued & { directory: string }): Promise<void> {
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
    await this.#write('success', async () => {
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
      await this.#write('certificate', async () => {
        await this.#deps.store.save(host, issued);
        this.#unsaved.delete(host);
      });
    }
  }

  /** Only logs a failure: a full disk must not keep certificates from being used. */
  async #write(what: string, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#deps.log.error({ what, error: toErrorReport(error).message }, 'ACME state could not be written');
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
      await this.#write('removal', async () => {
        await this.#deps.store.remove(host);
        await this.#deps.ledger.setRenewal(host, null);
      });
    }
    const isOld = (host: string, { retryAt }: { retryAt: string }) =>
      !wanted.includes(host) && Date.parse(retryAt) < now;
    await this.#write('failures', () => this.#deps.ledger.forget(isOld));
  }

  /** One at a time, and only while no host waits for a certificate: a response may take half a minute. */
  async #askRenewals(): Promise<void> {
    for (const host of this.#wanted ?? []) {
      const certificate = this.#certificates.get(host);
      const renewal = this.#deps.ledger.renewalOf(host);
      if (!certificate || renewal?.fingerprint !== certificate.fingerprint || !this.#mayAsk(renewal)) continue;
      if (this.#closed || this.#nextDue() !== null) break;
      await this.#askRenewal(host, certificate, renewal);
    }
    this.#again ||= this.#nextDue() !== null;
  }

  #mayAsk({ directory, askAgainAt }: Renewal): boolean {
    const waits = [askAgainAt, this.#deps.ledger.restOf(directory), this.#silentUntil.get(directory) ?? null];
    const isTime = waits.every((time) => this.#notBefore(time) <= this.#now());
    return isTime && this.#deps.directories.includes(directory);
  }

  async #askRenewal(host: string, certificate: Certificate, renewal: Renewal): Promise<void> {
    const { ledger, log, transport } = this.#deps;
    try {
      const { window, askAgainMs } = await askRenewalInfo(renewal.directory, certificate, transport);
      await ledger.setRenewal(host, { ...renewal, window, askAgainAt: this.#inFuture(askAgainMs) });
    } catch (error) {
      if (this.#closed) return;
      // Advice only: without it two thirds of the lifetime apply. The directory may still take orders.
      const { code, message } = toErrorReport(error);
      log.warn({ host, error: message.slice(0, 500) }, 'no renewal information from the CA');
      const askAgainAt = this.#inFuture(REST_MS);
      if (code === 'ORK_ACME_UNREACHABLE') this.#silentUntil.set(renewal.directory, askAgainAt);
      await this.#write('renewal', () => ledger.setRenewal(host, { ...renewal, askAgainAt }));
    }
  }

  #now(): number {
    return this.#deps.clock.now().getTime();
  }

  #inFuture(ms: number): string {
    return new Date(this.#now() + ms).toISOString();
  }
}
