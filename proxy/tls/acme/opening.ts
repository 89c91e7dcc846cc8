/** Opens ACME once its files are usable. Unreadable files must not stop the edge, so each look tries again. */
import { OrkestrError, toErrorReport } from '../../../protocol/errors.ts';
import { openAcme } from './open.ts';
import type { Acme, AcmeDependencies, AcmeSettings } from './open.ts';

const OWNER = 'All in it must belong to the user that the proxy runs as.';

export class AcmeOpening {
  readonly #settings: AcmeSettings | null;
  readonly #folder: string;
  readonly #given: AcmeDependencies;
  #opened: Acme | null = null;
  #fault: string | null = null;
  #opening: Promise<void> = Promise.resolve();

  /** @param settings null: ACME is not configured */
  constructor(settings: AcmeSettings | null, folder: string, given: AcmeDependencies) {
    this.#settings = settings;
    this.#folder = folder;
    this.#given = given;
  }

  /** Null until it has been opened. */
  get opened(): Acme | null {
    return this.#opened;
  }

  /** Why ACME does not work although it is configured, with the error code. */
  get fault(): string | null {
    return this.#fault;
  }

  /**
   * Does nothing if it is open. A second call waits for the first, so that only one account and one authority are made.
   * @throws OrkestrError ORK_CONFIG for a fault of the settings, which opening again does not repair
   */
  open(): Promise<void> {
    const open = (): Promise<void> => this.#open();
    this.#opening = this.#opening.then(open, open);
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (this.#settings === null || this.#opened !== null) return;
    try {
      this.#opened = await openAcme(this.#settings, this.#folder, this.#given);
      this.#fault = null;
    } catch (error) {
      if (error instanceof OrkestrError && error.code === 'ORK_CONFIG') throw error;
      const what = `${this.#folder} cannot be used: ${toErrorReport(error).message}`;
      const fault = `ORK_CERTIFICATE_UNUSABLE: ${what}. ${OWNER}`;
      const { log } = this.#given;
      if (fault !== this.#fault) log.error({ error: fault }, 'no certificates by ACME until its files can be used');
      this.#fault = fault;
    }
  }
}
