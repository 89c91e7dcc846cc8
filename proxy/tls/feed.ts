/** What this process and its workers are told of certificates, challenges and ticket keys. */
import { createHash, randomBytes } from 'node:crypto';
import { toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Certificate } from './certificate.ts';
import type { TerminatorChange, TerminatorState } from './state.ts';
import type { StaticTerminator } from './static-terminator.ts';

/** What `server.setTicketKeys` takes. */
const TICKET_KEY_BYTES = 48;

/** Tells the workers. Resolves when all that live know it; one that dies gets the whole state when it is started anew. */
export type OnChange = (change: TerminatorChange) => void | Promise<void>;

/** Tells each change once, and knows the whole. */
export class Feed {
  readonly terminator: StaticTerminator;
  readonly #log: Logger;
  readonly #onChange: OnChange;
  #state: TerminatorState = { certificates: [], challenges: { http: {}, alpn: {} }, ticketKeys: '' };
  /** What was told of the certificates last: chains and staples. */
  #told: readonly (string | null)[] = [];

  constructor(terminator: StaticTerminator, log: Logger, onChange: OnChange = () => undefined) {
    this.terminator = terminator;
    this.#log = log;
    this.#onChange = onChange;
  }

  get state(): TerminatorState {
    return this.#state;
  }

  /** Rejects when the workers could not be told. */
  async send(change: TerminatorChange): Promise<void> {
    this.#state = { ...this.#state, ...change };
    this.terminator.update(change);
    await this.#onChange(change);
  }

  certificates(certificates: readonly Certificate[], stapleOf: (certificate: Certificate) => string | null): void {
    const told = certificates.flatMap((one) => [idOf(one), stapleOf(one)]);
    if (told.length === this.#told.length && told.every((text, index) => text === this.#told[index])) return;
    this.#told = told;
    this.#sendLater({ certificates: certificates.map((one) => toState(one, stapleOf(one))) });
  }

  rotate(): void {
    this.#sendLater({ ticketKeys: randomBytes(TICKET_KEY_BYTES).toString('base64') });
  }

  #sendLater(change: TerminatorChange): void {
    this.send(change).catch((error: unknown) => {
      // A worker that is gone is started anew, with the whole state.
      this.#log.error({ error: toErrorReport(error).message }, 'workers were not told of a change of certificates');
    });
  }
}

/** Not the fingerprint: a chain may be mended while its certificate stays the same. */
const idOf = ({ chain, privateKey }: Certificate): string =>
  createHash('sha256').update(chain).update(privateKey).digest('base64');

const toState = (certificate: Certificate, staple: string | null): TerminatorState['certificates'][number] => {
  const { hosts, chain, privateKey, notBefore, notAfter } = certificate;
  return { hosts: [...hosts], chain, privateKey, notBefore, notAfter, staple };
};
