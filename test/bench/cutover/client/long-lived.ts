/** WebSockets and event streams that stay open, and reconnect after they were closed. */
import { setTimeout as pause } from 'node:timers/promises';
import { nowMs } from '../clock.ts';
import type { Retired } from '../flipper.ts';
import type { TallyBook } from './tally.ts';

/** Connections opened concurrently. */
const OPENING_AT_ONCE = 40;
/** Longest wait before a client reconnects, ms. */
const COMES_BACK_MS = 50;
/** How much earlier than announced a close may be seen, ms: two processes round their timers. */
const EARLY_MS = 5;

/** How a connection ended, and whether as its protocol prescribes. */
export interface End {
  readonly clean: boolean;
  readonly how: string;
}

/** One open connection. */
export interface Open {
  readonly version: string;
  readonly ended: Promise<End>;
  end(): void;
}

export interface Opener {
  readonly name: string;
  open(): Promise<Open>;
}

export class LongLived {
  readonly #book: TallyBook;
  /** Version → time from which its connections may be closed. */
  readonly #closesFrom = new Map<string, number>();
  readonly #open = new Set<Open>();
  #over = false;

  constructor(book: TallyBook) {
    this.#book = book;
  }

  /** Opens `count` connections, and from then on keeps that many open. */
  async keep(opener: Opener, count: number): Promise<void> {
    const first = Array.from({ length: count }, () => Promise.withResolvers<void>());
    let next = 0;
    const openSome = async (): Promise<void> => {
      while (next < first.length) {
        const turn = first[next++];
        void this.#keepOne(opener, () => turn?.resolve());
        await turn?.promise;
      }
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome));
  }

  retired({ version, closesFrom }: Retired): void {
    this.#closesFrom.set(version, closesFrom);
  }

  /** Ends all of them; these ends are not faults. */
  finish(): void {
    this.#over = true;
    for (const open of this.#open) open.end();
  }

  async #keepOne(opener: Opener, opened: () => void): Promise<void> {
    const { name } = opener;
    while (!this.#over) {
      try {
        const open = await opener.open();
        this.#open.add(open);
        this.#book.opened(name, open.version);
        opened();
        const { clean, how } = await open.ended;
        this.#open.delete(open);
        if (!this.#over) this.#judge(name, open.version, clean, how);
      } catch (error) {
        // Every fault is counted, and the client reconnects.
        if (!this.#over) this.#book.fault(name, error);
        opened();
      }
      await pause(Math.random() * COMES_BACK_MS);
    }
  }

  #judge(name: string, version: string, clean: boolean, how: string): void {
    const closesFrom = this.#closesFrom.get(version) ?? Infinity;
    const early = closesFrom - nowMs();
    if (early > EARLY_MS) {
      const when = early === Infinity ? 'while it was the current one' : `${early.toFixed(0)} ms before its deadline`;
      return this.#book.note('newSocketsCut', `${name} of version ${version} ended ${when}: ${how}`);
    }
    this.#book.closed();
    if (!clean) this.#book.note('noCloseFrame', `${name} of version ${version} ended with ${how}`);
  }
}
