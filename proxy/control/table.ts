/**
 * The table: the source of truth about what is served, its copy on disk, and the compare-and-set over it.
 *
 * A flip is: check → write to disk → apply in the planes → answer. Disk comes before planes, so that a flip that cannot
 * be saved is refused as a whole, and visitors never see a target that a restart would take back. If the process dies
 * between the two, the next one serves a target that has passed its health check; the sender, which got no answer, asks
 * for the generation and finds its flip done. The old container is stopped only after the answer, so both can serve.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type {
  CanaryRequest,
  EdgeAnswer,
  EdgeRequest,
  FlipAnswer,
  FlipBackRequest,
  FlipReceipt,
  FlipRequest,
  HoldAnswer,
  HoldRequest,
  TableView,
  UpstreamEntry,
  UpstreamRemoved,
  WatchAnswer,
  WatchRequest,
} from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import type { Planes } from '../planes/planes.ts';
import { buildRouter } from '../routing/router.ts';
import { isMove } from '../upstream/move.ts';
import { judgeFlip, judgeFlipBack, staleGeneration, withEdge } from './flip.ts';
import { makeReceipt } from './receipt.ts';
import type { TableFile } from './table-file.ts';
import { viewUpstream } from './view.ts';
import type { Record } from './watch.ts';
import { handedOver, Watches } from './watches.ts';

/** What is known of an upstream, including what is not on disk. */
export interface Kept {
  readonly entry: UpstreamEntry;
  readonly lastFlip: FlipAnswer;
  /** The entry that the last flip replaced and a flip-back restores; null: there was none, or it is no longer known. */
  readonly before: UpstreamEntry | null;
}

export class Table {
  readonly #file: TableFile;
  readonly #planes: Planes;
  readonly #clock: Clock;
  readonly #startedAt: Date;
  readonly #watches: Watches;
  readonly #kept = new Map<string, Kept>();
  /** Why nothing could be restored; null when the table is fine, and again once a new table is on disk. */
  #unreadable: readonly string[] | null = null;
  /** The end of the last change, since changes run one at a time. The admin connections limit how many wait. */
  #lastChange: Promise<unknown> = Promise.resolve();
  #yielded = false;
  #listener: (entries: readonly UpstreamEntry[]) => void = () => undefined;

  private constructor(file: TableFile, planes: Planes, clock: Clock) {
    this.#file = file;
    this.#planes = planes;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#watches = new Watches(planes);
  }

  /**
   * Restores the saved table and serves it. Damage on disk does not stop the proxy; see {@link Table.unreadable}.
   * @param inherited what the process before this one has in memory; the file is then written only for later changes
   */
  static async restore(
    file: TableFile,
    planes: Planes,
    clock: Clock,
    inherited: readonly Kept[] | null = null,
  ): Promise<Table> {
    const table = new Table(file, planes, clock);
    const restored = await file.restore();
    // Holds for a successor that inherits nothing, too: any earlier change would have made one copy valid again.
    if (restored.from === 'unreadable' && (inherited ?? []).length === 0) {
      table.#unreadable = restored.evidence;
      await planes.lose(true);
    }
    if (inherited !== null) for (const kept of inherited) await table.#inherit(kept);
    else if (restored.from !== 'unreadable') {
      for (const entry of restored.table.upstreams) await table.#put(entry, null);
      await file.fill(restored.table);
    }
    return table;
  }

  /** @param listener is called now and after each change, with everything that is served */
  onChange(listener: (entries: readonly UpstreamEntry[]) => void): void {
    this.#listener = listener;
    listener(this.entries);
  }

  /** Evidence of ORK_TABLE_UNREADABLE: routes are missing that nobody removed. */
  get unreadable(): readonly string[] | null {
    return this.#unreadable;
  }

  /** Everything that is served. */
  get entries(): readonly UpstreamEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry);
  }

  /**
   * Nothing changes while `work` runs. When it succeeds, the table belongs to another process, and every later change
   * is refused here; when it fails, this one carries on.
   */
  yield(work: (kept: readonly Kept[]) => Promise<void>): Promise<void> {
    return this.#exclusively(async () => {
      await work([...this.#kept.values()]);
      this.#yielded = true;
      this.#watches.abandon();
    });
  }

  /**
   * @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN; the system's error when the table cannot be saved.
   *   Nothing has changed then.
   */
  flip(request: FlipRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const { entry } = request;
      const kept = this.#kept.get(entry.id);
      const kind = judgeFlip(kept?.entry ?? null, request);
      if (kind !== 'apply' && kept) {
        if (kind === 'amend') await this.#amend(kept, withEdge(kept.entry, entry));
        return { ...kept.lastFlip, changed: false };
      }
      await this.#save(entry);
      return this.#put(entry, kept ?? null);
    });
  }

  /**
   * Restores what the last flip replaced: its targets, routes and settings, under the current generation.
   * @throws OrkestrError ORK_NOT_FOUND, ORK_GENERATION_STALE, ORK_CONFLICT when that target is no longer known,
   *   ORK_ROUTE_TAKEN
   */
  flipBack(request: FlipBackRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const kept = this.#expected(request.upstreamId, request.expectedGeneration);
      const entry = judgeFlipBack(kept, request);
      if (entry === 'replay') return { ...kept.lastFlip, changed: false };
      await this.#save(entry);
      const answer = await this.#put(entry, kept);
      // A flip-back cannot be flipped back: that would return to the target that went bad.
      this.#kept.set(entry.id, { entry, lastFlip: answer, before: null });
      return answer;
    });
  }

  /** @throws OrkestrError ORK_GENERATION_STALE, ORK_NOT_FOUND */
  canary({ upstreamId, expectedGeneration, canary }: CanaryRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const kept = this.#expected(upstreamId, expectedGeneration);
      if (JSON.stringify(kept.entry.canary ?? null) === JSON.stringify(canary)) {
        return { ...kept.lastFlip, changed: false };
      }
      const entry: UpstreamEntry = { ...kept.entry, canary: canary ?? undefined };
      await this.#save(entry);
      await this.#planes.amend(entry);
      this.#kept.set(upstreamId, { ...kept, entry });
      return { ...kept.lastFlip, flippedAt: this.#clock.now().toISOString(), changed: true, previous: null };
    });
  }

  /** @throws OrkestrError ORK_GENERATION_STALE, ORK_NOT_FOUND, ORK_ROUTE_TAKEN */
  edge(request: EdgeRequest): Promise<EdgeAnswer> {
    return this.#exclusively(async () => {
      const kept = this.#expected(request.upstreamId, request.expectedGeneration);
      const entry = withEdge(kept.entry, request);
      if (entry === kept.entry) return { changed: false };
      await this.#amend(kept, entry);
      return { changed: true };
    });
  }

  /** Removes an environment from the table. Work in flight to it ends by itself, or by a drain. */
  remove(id: string): Promise<UpstreamRemoved> {
    return this.#exclusively(async () => {
      if (!this.#kept.has(id)) return { removed: false, targetIds: [] };
      await this.#write(this.entries.filter((entry) => entry.id !== id));
      this.#kept.delete(id);
      const targetIds = await this.#planes.remove(id);
      this.#watches.changed(id, null);
      this.#listener(this.entries);
      return { removed: true, targetIds };
    });
  }

  /**
   * Takes its turn among the changes, although a hold is not saved: a successor gets the holds that exist when it
   * starts, and without this one would let visitors through to a target that is being stopped.
   * @throws OrkestrError ORK_PROXY_UNREACHABLE when the proxy has handed over
   */
  hold(request: HoldRequest): Promise<HoldAnswer> {
    return this.#exclusively(() => this.#planes.hold(request));
  }

  /** @throws OrkestrError ORK_PROXY_UNREACHABLE when the proxy has handed over */
  resume(id: string): Promise<HoldAnswer> {
    return this.#exclusively(() => this.#planes.resume(id));
  }

  /**
   * Answers as soon as the active target goes bad.
   * @param given ends the watch when it aborts
   * @throws OrkestrError ORK_PROXY_UNREACHABLE when the proxy has handed over
   */
  async watch(request: WatchRequest, given: AbortSignal | null = null): Promise<WatchAnswer> {
    const record = await this.#recordBefore(request.upstreamId);
    // It may have handed over meanwhile: nobody would end this window, and it would see only what drains here.
    if (this.#yielded) throw handedOver();
    const kept = this.#kept.get(request.upstreamId);
    return this.#watches.open(request, kept?.entry.targets[0]?.id ?? null, record, given);
  }

  /** @throws OrkestrError ORK_NOT_FOUND */
  async receipt(id: string): Promise<FlipReceipt> {
    const [counts] = await this.#planes.counts(id);
    const kept = this.#kept.get(id);
    if (!kept || !counts) throw new OrkestrError('ORK_NOT_FOUND', 'The table has no such upstream.');
    return makeReceipt(kept.lastFlip, kept.entry.targets[0]?.id ?? '', counts);
  }

  async view(): Promise<TableView> {
    const counts = new Map((await this.#planes.counts()).map((one) => [one.id, one]));
    const upstreams = this.entries.map((entry) => viewUpstream(entry, counts.get(entry.id) ?? null));
    return { version: 1, startedAt: this.#startedAt.toISOString(), upstreams };
  }

  /** @throws OrkestrError ORK_NOT_FOUND, ORK_GENERATION_STALE */
  #expected(id: string, generation: number): Kept {
    const kept = this.#kept.get(id);
    if (!kept) throw new OrkestrError('ORK_NOT_FOUND', 'The table has no such upstream.');
    if (kept.entry.generation !== generation) throw staleGeneration(kept.entry.generation, generation);
    return kept;
  }

  async #recordBefore(id: string): Promise<Record | null> {
    const previous = this.#kept.get(id)?.lastFlip.previous;
    if (!previous) return null;
    const [counts] = await this.#planes.counts(id);
    const retired = counts?.targets.filter(({ role, id }) => role === 'retired' && id === previous.targetId) ?? [];
    if (retired.length === 0) return null;
    return {
      answers: retired.reduce((sum, { answers }) => sum + answers, 0),
      faults: retired.reduce((sum, { faults }) => sum + faults, 0),
    };
  }

  /** @throws OrkestrError ORK_ROUTE_TAKEN before anything is written */
  #save(entry: UpstreamEntry): Promise<void> {
    return this.#write([...this.entries.filter(({ id }) => id !== entry.id), entry]);
  }

  async #write(upstreams: UpstreamEntry[]): Promise<void> {
    buildRouter(upstreams.flatMap((upstream) => upstream.routes.map((domain) => ({ domain, upstream }))));
    await this.#file.save({ version: 1, upstreams });
    if (this.#unreadable === null) return;
    this.#unreadable = null;
    await this.#planes.lose(false);
  }

  async #inherit(kept: Kept): Promise<void> {
    await this.#planes.put(kept.entry);
    this.#kept.set(kept.entry.id, kept);
  }

  /** Changes routes and settings, also in the entry that a flip-back would restore. */
  async #amend(kept: Kept, entry: UpstreamEntry): Promise<void> {
    await this.#save(entry);
    await this.#planes.amend(entry);
    this.#kept.set(entry.id, { ...kept, entry, before: kept.before && withEdge(kept.before, entry) });
    this.#listener(this.entries);
  }

  async #put(entry: UpstreamEntry, kept: Kept | null): Promise<FlipAnswer> {
    const replaced = await this.#planes.put(entry);
    const lastFlip = kept && isMove(kept.entry, entry) ? kept.lastFlip : this.#flipNow(entry, replaced);
    // New settings for the same target are not a flip that could be taken back.
    const before = replaced === null ? (kept?.before ?? null) : (kept?.entry ?? null);
    this.#kept.set(entry.id, { entry, lastFlip, before });
    this.#watches.changed(entry.id, entry.targets[0]?.id ?? null);
    this.#listener(this.entries);
    return { ...lastFlip, changed: true };
  }

  #flipNow({ generation }: UpstreamEntry, previous: FlipAnswer['previous']): FlipAnswer {
    return { generation, flippedAt: this.#clock.now().toISOString(), changed: true, previous };
  }

  /** One change at a time, so that nothing comes between a compare-and-set and its write. */
  #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(() => {
      if (this.#yielded) throw handedOver();
      return change();
    });
    // The next change runs however this one ended; the caller gets the rejection.
    this.#lastChange = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }
}
