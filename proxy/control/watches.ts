/** The watch windows that are open: each is answered once, at the moment when there is something to say. */
import type { WatchAnswer, WatchRequest } from '../../protocol/proxy-admin.ts';
import type { Planes } from '../planes/planes.ts';
import { Watch } from './watch.ts';
import type { Record } from './watch.ts';

const REPLACED: WatchAnswer = { verdict: 'replaced', reason: 'Another target is active by now.' };

export class Watches {
  readonly #planes: Planes;
  /** Upstream → what ends its windows, by the target that each looks at. Their number is bounded by the admin connections. */
  readonly #open = new Map<string, Map<() => void, string>>();

  constructor(planes: Planes) {
    this.#planes = planes;
  }

  /**
   * @param activeId the target that serves
   * @param before what the target before it did
   * @param given up when it aborts; the answer is of no interest then
   */
  open(
    request: WatchRequest,
    activeId: string | null,
    before: Record | null,
    given: AbortSignal | null,
  ): Promise<WatchAnswer> {
    const { upstreamId, targetId, seconds } = request;
    if (activeId !== targetId || given?.aborted === true) return Promise.resolve(REPLACED);
    const watch = new Watch(request, before);
    return new Promise((resolve) => {
      const over = new AbortController();
      const answer = (answer: WatchAnswer): void => {
        over.abort();
        resolve(answer);
      };
      const replaced = (): void => answer(REPLACED);
      const timer = setTimeout(() => answer(watch.good()), seconds * 1000);
      given?.addEventListener('abort', replaced, { signal: over.signal });
      this.#remember(upstreamId, targetId, replaced);
      const stop = this.#planes.watch(upstreamId, targetId, (tally) => {
        const bad = watch.add(tally);
        // The first tally comes within this call, before there is anything to stop.
        if (bad !== null) queueMicrotask(() => answer(bad));
      });
      over.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        stop();
        this.#forget(upstreamId, replaced);
      });
    });
  }

  /** A flip: windows on other targets than the active one are over. @param activeId null: the upstream was removed */
  changed(upstreamId: string, activeId: string | null): void {
    for (const [replaced, targetId] of this.#open.get(upstreamId) ?? []) if (targetId !== activeId) replaced();
  }

  #remember(upstreamId: string, targetId: string, replaced: () => void): void {
    const windows = this.#open.get(upstreamId) ?? new Map<() => void, string>();
    this.#open.set(upstreamId, windows.set(replaced, targetId));
  }

  #forget(upstreamId: string, replaced: () => void): void {
    const windows = this.#open.get(upstreamId);
    windows?.delete(replaced);
    if (windows?.size === 0) this.#open.delete(upstreamId);
  }
}
