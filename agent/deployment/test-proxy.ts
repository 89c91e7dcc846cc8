/** A proxy's upstream in memory, for tests: behaves as the admin API promises for flip, flip back, drain and watch. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { FlipAnswer, WatchAnswer } from '../../protocol/proxy-admin.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { EdgeProxy } from './ports.ts';
import { scripted } from './test-ports.ts';

const AT = '2030-01-01T00:00:01.000Z';
const NO_STREAMS = { carried: 0, ended: 0, closed: 0 };
const NO_REQUESTS = { served: 0, failed: 0 };

const refused = (code: 'ORK_GENERATION_STALE' | 'ORK_CONFLICT'): OrkestrError => new OrkestrError(code, 'Refused.');

export class ModelProxy {
  readonly #upstreamId: string;
  generation: number;
  active: string;
  /** The target that the last flip replaced; null once the proxy has forgotten it. */
  kept: string | null = null;
  verdict: WatchAnswer['verdict'] = 'good';
  /** The targets that served, in order. */
  readonly served: string[];
  readonly drained: string[] = [];
  /** Called around each effect. If it throws, the caller gets that error. */
  around: (call: string, moment: 'before' | 'after') => void = () => undefined;

  constructor(upstreamId: string, generation: number, active: string) {
    this.#upstreamId = upstreamId;
    this.generation = generation;
    this.active = active;
    this.served = [active];
  }

  /** As after `kill -9`: the table is there again, the memory of the last flip is not. */
  restart(): void {
    this.kept = null;
  }

  port(): EdgeProxy {
    return scripted<EdgeProxy>('proxy', {
      table: () => this.#call('table', () => this.#table()),
      flip: ({ entry, expectedGeneration }) =>
        this.#call('flip', () => this.#flip(entry.targets[0]?.id ?? '', entry.generation, expectedGeneration)),
      flipBack: ({ expectedGeneration, targetId }) =>
        this.#call('flipBack', () => {
          if (expectedGeneration !== this.generation) throw refused('ORK_GENERATION_STALE');
          if (targetId !== this.kept && targetId !== this.active) throw refused('ORK_CONFLICT');
          if (targetId !== this.active) this.#serve(targetId);
          return this.#answer(true);
        }),
      drain: ({ targetId }) =>
        this.#call('drain', () => {
          if (targetId === this.active) throw refused('ORK_CONFLICT');
          this.drained.push(targetId);
          return { known: true, ms: 1, forced: 0, streams: NO_STREAMS, requests: NO_REQUESTS };
        }),
      watch: ({ targetId }) =>
        this.#call('watch', () => ({
          verdict: targetId === this.active ? this.verdict : 'replaced',
          reason: 'refused 3 connections in a row',
        })),
      receipt: () =>
        this.#call('receipt', () => {
          const side = { requests: NO_REQUESTS, errors: 0, firstRequestAt: AT, lastRequestAt: AT };
          return {
            generation: this.generation,
            flippedAt: AT,
            previous: this.kept === null ? null : { ...side, targetId: this.kept, inFlightAtFlip: 0 },
            current: { ...side, targetId: this.active },
            drain: null,
            held: null,
            failed: 0,
          };
        }),
      certificates: async () => ({ certificates: [], missing: [] }),
    });
  }

  async #call<T>(name: string, act: () => T): Promise<T> {
    this.around(name, 'before');
    const answer = act();
    this.around(name, 'after');
    return answer;
  }

  #table() {
    const targets = [targetView({ id: this.active })];
    return tableView(upstreamView({ id: this.#upstreamId, generation: this.generation, targets }));
  }

  #flip(targetId: string, generation: number, expected: number): FlipAnswer {
    if (generation === this.generation && targetId === this.active) return this.#answer(false);
    if (expected !== this.generation || generation <= this.generation) throw refused('ORK_GENERATION_STALE');
    this.generation = generation;
    this.#serve(targetId);
    return this.#answer(true);
  }

  #serve(targetId: string): void {
    this.kept = this.active;
    this.active = targetId;
    this.served.push(targetId);
  }

  #answer(changed: boolean): FlipAnswer {
    const previous =
      this.kept === null ? null : { targetId: this.kept, inFlight: 0, streams: 0, requests: NO_REQUESTS };
    return { generation: this.generation, flippedAt: AT, changed, previous };
  }
}
