/**
 * The record of tries, on disk: a restart, or repeated crashes in the middle of an order, must not make us ask a CA
 * more often than it wants. So each try is recorded before it is made.
 */
import { readFile, rename } from 'node:fs/promises';
import { z } from 'zod';
import { ErrorCode } from '../../../protocol/error-catalogue.ts';
import { toErrorReport } from '../../../protocol/errors.ts';
import { HostName, Timestamp } from '../../../protocol/ids.ts';
import type { Logger } from '../../../protocol/service/logger.ts';
import { writePrivateFile } from '../../private-file.ts';

/** The latest tries for a host, all of which failed. */
const Failure = z.object({
  /** In a row, with the same code. */
  tries: z.int().min(1),
  /** Tries during which the process ended. */
  interrupted: z.int().min(0),
  /** The next try is not made before. */
  retryAt: Timestamp,
  code: ErrorCode,
  message: z.string(),
});
export type Failure = z.infer<typeof Failure>;

/** What a CA says about the renewal of a certificate (RFC 9773). */
const Renewal = z.object({
  fingerprint: z.string(),
  directory: z.string(),
  /** By our clock, which may differ from the CA's. */
  issuedAt: Timestamp,
  window: z.object({ start: Timestamp, end: Timestamp }).nullable(),
  askAgainAt: Timestamp,
});
export type Renewal = z.infer<typeof Renewal>;

const Pages = z.object({
  version: z.literal(1),
  failures: z.record(HostName, Failure),
  renewals: z.record(HostName, Renewal),
  /** Directories that are left alone → until when. */
  resting: z.record(z.string(), Timestamp),
});
type Pages = z.infer<typeof Pages>;

const EMPTY: Pages = { version: 1, failures: {}, renewals: {}, resting: {} };

export class Ledger {
  readonly #path: string;
  #pages: Pages;

  private constructor(path: string, pages: Pages) {
    this.#path = path;
    this.#pages = pages;
  }

  /** A damaged file is logged, renamed and replaced by an empty one, which costs only some requests to the CA. */
  static async open(path: string, log: Logger): Promise<Ledger> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      // No ledger yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Ledger(path, EMPTY);
      throw error;
    }
    try {
      return new Ledger(path, Pages.parse(JSON.parse(text)));
    } catch (error) {
      log.error({ path, error: toErrorReport(error).message.slice(0, 500) }, 'the ledger of orders is damaged');
      await rename(path, `${path}.damaged`);
      return new Ledger(path, EMPTY);
    }
  }

  failureOf(host: string): Failure | null {
    return entryOf(this.#pages.failures, host);
  }

  renewalOf(host: string): Renewal | null {
    return entryOf(this.#pages.renewals, host);
  }

  /** Until when a directory is left alone; null: it is not. */
  restOf(directory: string): string | null {
    return entryOf(this.#pages.resting, directory);
  }

  async setFailure(host: string, failure: Failure | null): Promise<void> {
    await this.#save({ ...this.#pages, failures: withEntry(this.#pages.failures, host, failure) });
  }

  async setRenewal(host: string, renewal: Renewal | null): Promise<void> {
    await this.#save({ ...this.#pages, renewals: withEntry(this.#pages.renewals, host, renewal) });
  }

  async setRest(directory: string, until: string | null): Promise<void> {
    await this.#save({ ...this.#pages, resting: withEntry(this.#pages.resting, directory, until) });
  }

  /** Drops the failures for which `isOld` returns true. */
  async forget(isOld: (host: string, failure: Failure) => boolean): Promise<void> {
    const kept = Object.entries(this.#pages.failures).filter(([host, failure]) => !isOld(host, failure));
    if (kept.length === Object.keys(this.#pages.failures).length) return;
    await this.#save({ ...this.#pages, failures: Object.fromEntries(kept) });
  }

  /** Memory changes even if the disk write fails: at least this process keeps to it. */
  async #save(pages: Pages): Promise<void> {
    this.#pages = pages;
    await writePrivateFile(this.#path, `${JSON.stringify(pages, null, 1)}\n`);
  }
}

/** Own properties only, because a host may be called `constructor`. */
function entryOf<T>(entries: Readonly<Record<string, T>>, name: string): T | null {
  return Object.hasOwn(entries, name) ? (entries[name] ?? null) : null;
}

function withEntry<T>(entries: Readonly<Record<string, T>>, name: string, value: T | null): Record<string, T> {
  const others = Object.entries(entries).filter(([other]) => other !== name);
  return Object.fromEntries(value === null ? others : [...others, [name, value]]);
}
