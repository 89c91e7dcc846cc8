/** The advice of CAs on when to renew a certificate (RFC 9773): when to ask for it again, and whom. */
import { toErrorReport } from '../../../protocol/errors.ts';
import type { Logger } from '../../../protocol/service/logger.ts';
import type { Clock } from '../../clock.ts';
import type { Certificate } from '../certificate.ts';
import { notBefore } from './back-off.ts';
import type { Ledger, Renewal } from './ledger.ts';
import { askRenewalInfo } from './renewal.ts';
import type { Transport } from './transport.ts';
import { tryWrite } from './try-write.ts';

/** Wait after a question that failed, ms. */
const PAUSE_MS = 300_000;

export interface RenewalDependencies {
  readonly directories: readonly string[];
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly transport: Transport;
}

export class RenewalAdvice {
  readonly #deps: RenewalDependencies;
  readonly #isClosed: () => boolean;
  /** Directories that did not respond about renewals → until when not to ask them. */
  readonly #silentUntil = new Map<string, string>();

  /** @param isClosed true: the proxy ends, and a question that it cut off counts as not asked */
  constructor(deps: RenewalDependencies, isClosed: () => boolean) {
    this.#deps = deps;
    this.#isClosed = isClosed;
  }

  /** False also when the directory is at rest, or not ours any more. */
  mayAsk({ directory, askAgainAt }: Renewal): boolean {
    const waits = [askAgainAt, this.#deps.ledger.restOf(directory), this.#silentUntil.get(directory) ?? null];
    const now = this.#deps.clock.now().getTime();
    const isTime = waits.every((time) => notBefore(time, now) <= now);
    return isTime && this.#deps.directories.includes(directory);
  }

  /** Records the answer. Never throws: without one, two thirds of the lifetime apply. */
  async ask(host: string, certificate: Certificate, renewal: Renewal): Promise<void> {
    const { ledger, log, transport } = this.#deps;
    try {
      const { window, askAgainMs } = await askRenewalInfo(renewal.directory, certificate, transport);
      await ledger.setRenewal(host, { ...renewal, window, askAgainAt: this.#inFuture(askAgainMs) });
    } catch (error) {
      if (this.#isClosed()) return;
      // The directory may still take orders.
      const { code, message } = toErrorReport(error);
      log.warn({ host, error: message.slice(0, 500) }, 'no renewal information from the CA');
      const askAgainAt = this.#inFuture(PAUSE_MS);
      if (code === 'ORK_ACME_UNREACHABLE') this.#silentUntil.set(renewal.directory, askAgainAt);
      await tryWrite(log, 'renewal', () => ledger.setRenewal(host, { ...renewal, askAgainAt }));
    }
  }

  #inFuture(ms: number): string {
    return new Date(this.#deps.clock.now().getTime() + ms).toISOString();
  }
}
