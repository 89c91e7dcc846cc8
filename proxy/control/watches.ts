/** The open watch windows. Each is answered once, as soon as there is a verdict. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { WatchAnswer, WatchRequest } from '../../protocol/proxy-admin.ts';
import type { Planes } from '../planes/planes.ts';
import { Watch } from './watch.ts';
import type { Record } from './watch.ts';

const REPLACED: WatchAnswer = { verdict: 'replaced', reason: 'Another target is active by now.' };

/** For calls to a process whose successor already serves. */
export function handedOver(): OrkestrError {
  return new OrkestrError(
    'ORK_PROXY_UNREACHABLE',
    'This proxy has handed over to its successor; ask the successor instead.',
  );
}

interface Window {
  readonly targetId: string;
  readonly replaced: () => void;
  readonly abandoned: () => void;
}

export class Watches {
  readonly #planes: Planes;
  /** By upstream. The admin connections limit their number. */
  readonly #open = new Map<string, Set<Window>>();

  constructor(planes: Planes) {
    this.#planes = planes;
  }

  /**
   * @param activeId the target that serves
   * @param before the record of the previous target
   * @param given ends the window when it aborts; nobody reads the answer then
   * @throws OrkestrError ORK_PROXY_UNREACHABLE when the proxy hands over meanwhile: from then on it sees only a part
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
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const answer = (answer: WatchAnswer): void => {
        over.abort();
        resolve(answer);
      };
      const replaced = (): void => answer(REPLACED);
      const timer = setTimeout(() => answer(watch.good()), seconds * 1000);
      given?.addEventListener('abort', replaced, { signal: over.signal });
      const abandoned = (): void => {
        over.abort();
        reject(handedOver());
      };
      const window: Window = { targetId, replaced, abandoned };
      this.#open.set(upstreamId, (this.#open.get(upstreamId) ?? new Set()).add(window));
      const stop = this.#planes.watch(upstreamId, targetId, (tally) => {
        const bad = watch.add(tally);
        // The first tally comes within this call, when `stop` is not assigned yet.
        if (bad !== null) queueMicrotask(() => answer(bad));
      });
      over.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        stop();
        this.#forget(upstreamId, window);
      });
    });
  }

  /** Ends windows on targets that a flip has replaced. @param activeId null: the upstream was removed */
  changed(upstreamId: string, activeId: string | null): void {
    for (const { targetId, replaced } of this.#open.get(upstreamId) ?? []) if (targetId !== activeId) replaced();
  }

  /** Ends all windows, because the successor serves. */
  abandon(): void {
    for (const windows of this.#open.values()) for (const { abandoned } of windows) abandoned();
  }

  #forget(upstreamId: string, window: Window): void {
    const windows = this.#open.get(upstreamId);
    windows?.delete(window);
    if (windows?.size === 0) this.#open.delete(upstreamId);
  }
}
