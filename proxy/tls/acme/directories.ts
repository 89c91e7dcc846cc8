/** The CAs, by their ACME directories: asked for a certificate in turn, and left alone while they do not issue. */
import type { Logger } from '../../../protocol/service/logger.ts';
import type { Clock } from '../../clock.ts';
import type { Certificate } from '../certificate.ts';
import type { Accounts } from './accounts.ts';
import { notBefore } from './back-off.ts';
import type { Challenges } from './challenges.ts';
import type { Ledger } from './ledger.ts';
import { placeOrder } from './order.ts';
import type { BegunOrder, ChallengeType, Issued } from './order.ts';
import { AcmeProblem } from './problem.ts';
import { certificateIdOf } from './renewal.ts';
import { tryWrite } from './try-write.ts';

/** How long a directory that did not respond is left alone if it sent no Retry-After, ms. */
const REST_MS = 300_000;
/** Longest rest of a directory that limited two hosts, ms: its limit may end earlier, or not apply to all hosts. */
const LIMIT_REST_MS = 3_600_000;

export interface DirectoriesDependencies {
  readonly directories: readonly string[];
  /** In order of preference; after a failed validation the next one is used. */
  readonly challengeTypes: readonly ChallengeType[];
  readonly log: Logger;
  readonly clock: Clock;
  readonly accounts: Accounts;
  readonly challenges: Challenges;
  readonly ledger: Ledger;
  /** Rejects when the proxy ends. */
  readonly sleep: (ms: number) => Promise<void>;
}

interface CertificateRequest {
  readonly host: string;
  /** The host's certificate until now. */
  readonly replaced: Certificate | undefined;
  /** Validations that failed in a row. */
  readonly failedValidations: number;
  /** Asks directories at rest, too. */
  readonly isUrged: boolean;
}

/** A certificate, and the directory that issued it. */
export interface IssuedBy extends Issued {
  readonly directory: string;
}

export class Directories {
  readonly #deps: DirectoriesDependencies;
  readonly #isClosed: () => boolean;
  /** Orders by host that their CA has not decided yet. Placing another would count against the CA's limits. */
  readonly #begun = new Map<string, BegunOrder & { readonly directory: string }>();
  /** Directory → the host for which it last reported a rate limit. */
  readonly #limited = new Map<string, string>();

  /** @param isClosed true: the proxy ends, so no other directory is tried */
  constructor(deps: DirectoriesDependencies, isClosed: () => boolean) {
    this.#deps = deps;
    this.#isClosed = isClosed;
  }

  /**
   * Tries the directories in turn. A failed validation is the host's own fault and would fail at the others, too.
   * @throws AcmeProblem of the last one that was tried
   */
  async issue(request: CertificateRequest): Promise<IssuedBy> {
    const { directories, log } = this.#deps;
    const { host } = request;
    let last = this.#allRest();
    for (const directory of directories) {
      if (!request.isUrged && this.#restsUntil(directory) > this.#now()) continue;
      try {
        const issued = await this.#order(request, directory);
        this.#limited.delete(directory);
        return { ...issued, directory };
      } catch (error) {
        if (!(error instanceof AcmeProblem) || error.code === 'ORK_ACME_CHALLENGE' || this.#isClosed()) throw error;
        last = error;
        await this.#rest(directory, this.#restAfter(error, host, directory));
        log.warn({ host, directory, code: error.code, error: error.message }, 'a CA did not issue');
      }
    }
    throw last;
  }

  #allRest(): AcmeProblem {
    const why = 'No CA takes an order now: each did not answer, or reported a limit, and is left alone for a while';
    const earliest = Math.min(...this.#deps.directories.map((url) => this.#restsUntil(url)));
    return new AcmeProblem('ORK_ACME_UNREACHABLE', why, { retryAfterMs: Math.max(0, earliest - this.#now()) });
  }

  /** Ms since 1970; 0: it does not rest. */
  #restsUntil(directory: string): number {
    return notBefore(this.#deps.ledger.restOf(directory), this.#now());
  }

  async #rest(directory: string, ms: number): Promise<void> {
    if (ms <= 0) return;
    const until = new Date(this.#now() + ms).toISOString();
    await tryWrite(this.#deps.log, 'rest', () => this.#deps.ledger.setRest(directory, until));
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

  async #order(request: CertificateRequest, directory: string): Promise<Issued> {
    const { host } = request;
    const begun = this.#begun.get(host);
    try {
      const issued = await this.#place(request, directory, begun?.directory === directory ? begun : null);
      this.#begun.delete(host);
      return issued;
    } catch (error) {
      // An order that is late, or whose CA is unreachable, may still be issued.
      if (!(error instanceof AcmeProblem) || error.code !== 'ORK_ACME_UNREACHABLE') this.#begun.delete(host);
      throw error;
    }
  }

  async #place(
    { host, replaced, failedValidations }: CertificateRequest,
    directory: string,
    begun: BegunOrder | null,
  ): Promise<Issued> {
    const { accounts, challenges, challengeTypes, ledger, sleep } = this.#deps;
    // Only the CA that issued the certificate knows it.
    const isSame = replaced && ledger.renewalOf(host)?.directory === directory && ledger.renewalOf(host)?.window;
    const replaces = isSame ? await certificateIdOf(replaced) : null;
    const at = failedValidations % challengeTypes.length;
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

  #now(): number {
    return this.#deps.clock.now().getTime();
  }
}
