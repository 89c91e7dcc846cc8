/** Distributes certificates, challenges and ticket keys to this process and its workers. */
import { createHash, randomBytes } from 'node:crypto';
import { toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Certificate } from './certificate.ts';
import type { TerminatorChange, TerminatorState } from './state.ts';
import type { StaticTerminator } from './static-terminator.ts';

/** Length that `server.setTicketKeys` requires. */
const TICKET_KEY_BYTES = 48;

/** Notifies the workers. Resolves once all live ones have the change; a restarted worker gets the whole state. */
export type OnChange = (change: TerminatorChange) => void | Promise<void>;

/** Sends each change once, and keeps the whole state. */
export class Feed {
  readonly terminator: StaticTerminator;
  readonly #log: Logger;
  readonly #onChange: OnChange;
  #state: TerminatorState = { certificates: [], challenges: { http: {}, alpn: {} }, ticketKeys: '' };
  /** The chains and staples that were sent last. */
  #told: readonly (string | null)[] = [];

  constructor(terminator: StaticTerminator, log: Logger, onChange: OnChange = () => undefined) {
    this.terminator = terminator;
    this.#log = log;
    this.#onChange = onChange;
  }

  get state(): TerminatorState {
    return this.#state;
  }

  /** Rejects when the workers could not be notified. */
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
      // A worker that has died is restarted with the whole state.
      this.#log.error({ error: toErrorReport(error).message }, 'workers were not notified of a change of certificates');
    });
  }
}

/** Not the fingerprint: an operator may repair a chain while its certificate stays the same. */
const idOf = ({ chain, privateKey }: Certificate): string =>
  createHash('sha256').update(chain).update(privateKey).digest('base64');

const toState = (certificate: Certificate, staple: string | null): TerminatorState['certificates'][number] => {
  const { hosts, chain, privateKey, notBefore, notAfter } = certificate;
  return { hosts: [...hosts], chain, privateKey, notBefore, notAfter, staple };
};
