/**
 * The table: the truth about what is served, its copy on disk, and the compare-and-set over it.
 *
 * A flip is: check → write to disk → put in the plane → answer. Disk before plane, so that a flip that cannot be kept is
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
} from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import type { Plane } from '../plane.ts';
import { buildRouter } from '../routing/router.ts';
import { judgeFlip } from './flip.ts';
import type { TableFile } from './table-file.ts';

interface Kept {
  readonly entry: UpstreamEntry;
  readonly lastFlip: FlipAnswer;
}

export class Table {
  readonly #file: TableFile;
  readonly #plane: Plane;
  readonly #clock: Clock;
  readonly #startedAt: Date;
  readonly #kept = new Map<string, Kept>();
  /** Why nothing could be restored; null when all is well, and again once a new table is on disk. */
  #unreadable: readonly string[] | null = null;
  /** The end of the last change: changes happen one after the other. Their number is bounded by the admin connections. */
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(file: TableFile, plane: Plane, clock: Clock) {
    this.#file = file;
    this.#plane = plane;
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** The saved table, served by the plane at once. Damage on disk does not stop the proxy; see {@link Table.unreadable}. */
  static async restore(file: TableFile, plane: Plane, clock: Clock): Promise<Table> {
    const table = new Table(file, plane, clock);
    const restored = await file.restore();
    if (restored.from === 'unreadable') table.#unreadable = restored.evidence;
    else for (const entry of restored.table.upstreams) table.#put(entry);
    return table;
  }

  /** Evidence of ORK_TABLE_UNREADABLE: routes are missing that nobody removed. */
  get unreadable(): readonly string[] | null {
    return this.#unreadable;
  }

  /**
   * @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN; whatever the disk says when the table cannot be kept.
   *   Nothing has changed then.
   */
  flip(request: FlipRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const { entry } = request;
      const kept = this.#kept.get(entry.id);
      if (judgeFlip(kept?.entry ?? null, request) === 'replay' && kept) return { ...kept.lastFlip, changed: false };
      await this.#save([...this.#entries().filter(({ id }) => id !== entry.id), entry]);
      return this.#put(entry);
    });
  }

  /** @throws OrkestrError ORK_CONFLICT for an active target */
  drain(request: DrainRequest): Promise<DrainAnswer> {
    return this.#plane.drain(request);
  }

  /** Takes an environment off the table. What is in flight to it ends by itself, or by a drain. */
  remove(id: string): Promise<UpstreamRemoved> {
    return this.#exclusively(async () => {
      if (!this.#kept.has(id)) return { removed: false, targetIds: [] };
      await this.#save(this.#entries().filter((entry) => entry.id !== id));
      this.#kept.delete(id);
      return { removed: true, targetIds: this.#plane.remove(id) };
    });
  }

  view(): TableView {
    return { version: 1, startedAt: this.#startedAt.toISOString(), upstreams: this.#plane.view() };
  }

  #entries(): UpstreamEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry);
  }

  /** @throws OrkestrError ORK_ROUTE_TAKEN before anything is written */
  async #save(upstreams: UpstreamEntry[]): Promise<void> {
    buildRouter(upstreams.flatMap((upstream) => upstream.routes.map((domain) => ({ domain, upstream }))));
    await this.#file.save({ version: 1, upstreams });
    this.#unreadable = null;
  }

  #put(entry: UpstreamEntry): FlipAnswer {
    const flippedAt = this.#clock.now().toISOString();
    const previous = this.#plane.put(entry);
    const lastFlip = { generation: entry.generation, flippedAt, changed: true, previous };
    this.#kept.set(entry.id, { entry, lastFlip });
    return lastFlip;
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
