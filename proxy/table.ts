/**
 * The table: upstreams, the router over them, and their copy on disk.
 *
 * A flip is: check → write to disk → swap in memory → answer. Disk before memory, so that a flip that cannot be kept is
 * refused as a whole and visitors never see a target that a restart would take back. When the process dies between the
 * two, the restart serves a target whose health had passed and whose sender, missing the answer, asks for the generation
 * and finds its flip done. The old container cannot be stopped before that answer, so either table can be served.
 */
import type {
  DrainAnswer,
  DrainRequest,
  FlipAnswer,
  FlipRequest,
  TableView,
  UpstreamEntry,
  UpstreamRemoved,
} from '../protocol/proxy-admin.ts';
import type { Clock } from './clock.ts';
import { buildRouter } from './router.ts';
import type { Router } from './router.ts';
import type { TableFile } from './table-file.ts';
import { judgeFlip, Upstream } from './upstream.ts';

export class Table {
  readonly #file: TableFile;
  readonly #clock: Clock;
  readonly #startedAt: Date;
  #upstreams: ReadonlyMap<string, Upstream> = new Map();
  #router: Router<Upstream> = buildRouter([]);
  /** Removed upstreams with something in flight: they can still be drained, and are forgotten when they are empty. */
  #leaving: readonly Upstream[] = [];
  /** Why nothing could be restored; null when all is well, and again once a new table is on disk. */
  #unreadable: readonly string[] | null = null;
  /** The end of the last change: changes happen one after the other. Their number is bounded by the admin connections. */
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(file: TableFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** The saved table, serving at once. Damage on disk does not stop the proxy; see {@link Table.unreadable}. */
  static async restore(file: TableFile, clock: Clock): Promise<Table> {
    const table = new Table(file, clock);
    const restored = await file.restore();
    if (restored.from === 'unreadable') table.#unreadable = restored.evidence;
    else {
      const upstreams = restored.table.upstreams.map((entry) => new Upstream(entry, table.#startedAt));
      table.#swap(new Map(upstreams.map((upstream) => [upstream.id, upstream])));
    }
    return table;
  }

  /** Evidence of ORK_TABLE_UNREADABLE: routes are missing that nobody removed. */
  get unreadable(): readonly string[] | null {
    return this.#unreadable;
  }

  /** @param host normalised; @param path without query */
  find(host: string, path: string): Upstream | null {
    return this.#router.find(host, path);
  }

  /**
   * @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN; whatever the disk says when the table cannot be kept.
   *   Nothing has changed then.
   */
  flip(request: FlipRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const { entry } = request;
      const upstream = this.#upstreams.get(entry.id);
      if (judgeFlip(upstream?.entry ?? null, request) === 'replay' && upstream) {
        return { ...upstream.lastFlip, changed: false };
      }
      const entries = [...this.#entries().filter(({ id }) => id !== entry.id), entry];
      buildRouter(entries);
      await this.#save(entries);
      return this.#put(entry);
    });
  }

  /** @throws OrkestrError ORK_CONFLICT for an active target */
  drain({ upstreamId, targetId, deadlineSeconds }: DrainRequest): Promise<DrainAnswer> {
    const leaving = this.#leaving.find(({ id }) => id === upstreamId);
    const upstream = this.#upstreams.get(upstreamId) ?? leaving;
    if (upstream) return upstream.drain(targetId, deadlineSeconds * 1000, this.#clock);
    return Promise.resolve({ known: false, ms: 0, forced: 0, requests: { served: 0, failed: 0 } });
  }

  /** Takes an environment off the table. What is in flight to it ends by itself, or by a drain. */
  remove(id: string): Promise<UpstreamRemoved> {
    return this.#exclusively(async () => {
      const upstream = this.#upstreams.get(id);
      if (!upstream) return { removed: false, targetIds: [] };
      await this.#save(this.#entries().filter((entry) => entry.id !== id));
      this.#swap(new Map([...this.#upstreams].filter(([key]) => key !== id)));
      upstream.retire();
      this.#leaving = [upstream, ...this.#leaving].filter((one) => one.targets().some(({ inFlight }) => inFlight > 0));
      return { removed: true, targetIds: [...new Set(upstream.targets().map((target) => target.id))] };
    });
  }

  view(): TableView {
    return {
      version: 1,
      startedAt: this.#startedAt.toISOString(),
      upstreams: [...this.#upstreams.values()].map((upstream) => upstream.view()),
    };
  }

  /** Ends everything in flight now. For the end of the process. */
  cut(): void {
    for (const upstream of [...this.#upstreams.values(), ...this.#leaving]) upstream.cut();
  }

  #entries(): UpstreamEntry[] {
    return [...this.#upstreams.values()].map(({ entry }) => entry);
  }

  async #save(upstreams: UpstreamEntry[]): Promise<void> {
    await this.#file.save({ version: 1, upstreams });
    this.#unreadable = null;
  }

  /** Synchronous: between two claims the table is either the old or the new one. */
  #put(entry: UpstreamEntry): FlipAnswer {
    const at = this.#clock.now();
    const known = this.#upstreams.get(entry.id);
    const answer = known?.apply(entry, at);
    const upstream = known ?? new Upstream(entry, at);
    this.#swap(new Map([...this.#upstreams, [entry.id, upstream]]));
    return answer ?? upstream.lastFlip;
  }

  #swap(upstreams: ReadonlyMap<string, Upstream>): void {
    this.#router = buildRouter(upstreams.values());
    this.#upstreams = upstreams;
  }

  /** One change at a time, so that the compare-and-set and its write belong together. */
  #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change);
    // The next change does not care how this one ended; who asked for it gets the rejection.
    this.#lastChange = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }
}
