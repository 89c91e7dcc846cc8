/**
 * The planes of another process. One that has gone serves nothing and has nothing in flight: its part of every answer
 * is empty. One that does not answer in time is reported to `hangs`, whose owner ends it; then it counts as gone.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { DrainAnswer, HoldAnswer } from '../../protocol/proxy-admin.ts';
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import type { Taken } from '../policy/client-rates.ts';
import type { ConcurrencyShare, ConcurrencyUse } from '../upstream/concurrency.ts';
import type { TallyListener } from '../upstream/tally.ts';
import type { Channel } from './channel.ts';
import { CALLS, snapshotsOf, Up } from './messages.ts';
import type { Answers, Asks, CallName } from './messages.ts';
import type { Planes } from './planes.ts';

/** How long a call that need not wait may take, ms: more than a process needs when it starves on a busy machine. */
const CALL_MS = 5_000;
/** Extra time after that, ms: if the whole machine was suspended, the answer arrives as soon as it resumes. */
const SECOND_CHANCE_MS = 500;

interface Pending {
  readonly answered: (value: unknown) => void;
  readonly refused: (error: OrkestrError) => void;
  readonly gone: () => void;
}

const NOTHING_DRAINED: DrainAnswer = {
  known: false,
  ms: 0,
  forced: 0,
  streams: { carried: 0, ended: 0, closed: 0 },
  requests: { served: 0, failed: 0 },
};
const NOTHING_HELD: HoldAnswer = { held: 0, changed: false };

export class RemotePlanes implements Planes {
  readonly #channel: Channel;
  readonly #hangs: (call: CallName) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<number, TallyListener>();
  #seq = 0;
  #gone = false;

  /** @param hangs a call was not answered in time; the callback must close the channel */
  constructor(channel: Channel, hangs: (call: CallName) => void) {
    this.#channel = channel;
    this.#hangs = hangs;
    channel.onMessage((message) => this.#read(message));
    channel.onClose(() => this.#close());
  }

  put(entry: Asks<'put'>): Promise<Answers<'put'>> {
    return this.#call('put', entry, null);
  }

  async amend(entry: Asks<'amend'>): Promise<void> {
    await this.#call('amend', entry, null);
  }

  remove(id: string): Promise<string[]> {
    return this.#call('remove', { id }, []);
  }

  drain(request: Asks<'drain'>, given: AbortSignal | null): Promise<DrainAnswer> {
    return this.#ask('drain', request, NOTHING_DRAINED, given);
  }

  hold(request: Asks<'hold'>): Promise<HoldAnswer> {
    return this.#call('hold', request, NOTHING_HELD);
  }

  resume(id: string): Promise<HoldAnswer> {
    return this.#call('resume', { id }, NOTHING_HELD);
  }

  watch(upstreamId: string, targetId: string, listener: TallyListener): () => void {
    const seq = this.#send('watch', { upstreamId, targetId });
    this.#listeners.set(seq, listener);
    return () => {
      this.#listeners.delete(seq);
      this.#channel.send({ type: 'cancel', seq });
    };
  }

  counts(id?: string): Promise<Answers<'counts'>> {
    return this.#call('counts', { id }, []);
  }

  async metrics(): Promise<MetricsSnapshot[]> {
    return snapshotsOf(await this.#call('metrics', {}, []));
  }

  exchangeRates(elsewhere: readonly Taken[]): Promise<readonly Taken[]> {
    return this.#call('exchangeRates', { elsewhere } as Asks<'exchangeRates'>, []);
  }

  shareConcurrency(shares: readonly ConcurrencyShare[]): Promise<readonly ConcurrencyUse[]> {
    return this.#call('shareRoom', { parts: [...shares] }, []);
  }

  async lose(lost: boolean): Promise<void> {
    await this.#call('lose', { lost }, null);
  }

  async secure(change: Asks<'secure'>): Promise<void> {
    await this.#call('secure', change, null);
  }

  /** A call that a healthy process answers at once. */
  async #call<N extends CallName>(name: N, asks: Asks<N>, otherwise: Answers<N>): Promise<Answers<N>> {
    let timer = setTimeout(() => {
      timer = setTimeout(() => this.#hangs(name), SECOND_CHANCE_MS);
    }, CALL_MS);
    try {
      return await this.#ask(name, asks, otherwise, null);
    } finally {
      clearTimeout(timer);
    }
  }

  #ask<N extends CallName>(
    name: N,
    asks: Asks<N>,
    otherwise: Answers<N>,
    given: AbortSignal | null,
  ): Promise<Answers<N>> {
    if (this.#gone) return Promise.resolve(otherwise);
    return new Promise((resolve, reject) => {
      const seq = this.#send(name, asks);
      const cancel = (): void => this.#channel.send({ type: 'cancel', seq });
      given?.addEventListener('abort', cancel);
      const settled = (): void => given?.removeEventListener('abort', cancel);
      this.#pending.set(seq, {
        answered: (value) => {
          settled();
          const answer = CALLS[name].answers.safeParse(value);
          if (answer.success) resolve(answer.data as Answers<N>);
          else reject(new OrkestrError('ORK_INTERNAL', `A process of the proxy gave an unexpected answer to ${name}.`));
        },
        refused: (error) => {
          settled();
          reject(error);
        },
        gone: () => {
          settled();
          resolve(otherwise);
        },
      });
      if (given?.aborted === true) cancel();
    });
  }

  #send(name: CallName, asks: unknown): number {
    this.#seq += 1;
    this.#channel.send({ type: 'call', seq: this.#seq, name, asks });
    return this.#seq;
  }

  #read(message: unknown): void {
    const up = Up.safeParse(message);
    // The pipe also carries messages of other protocols.
    if (!up.success) return;
    const { data } = up;
    if (data.type === 'tally') return this.#listeners.get(data.seq)?.(data.tally);
    const pending = this.#pending.get(data.seq);
    this.#pending.delete(data.seq);
    if (data.type === 'answer') return pending?.answered(data.value);
    const { code, message: sentence, evidence } = data;
    return pending?.refused(new OrkestrError(code, sentence, { evidence }));
  }

  #close(): void {
    this.#gone = true;
    for (const { gone } of this.#pending.values()) gone();
    this.#pending.clear();
    this.#listeners.clear();
  }
}
