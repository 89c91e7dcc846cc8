/**
 * The table: the truth about what is served, its copy on disk, and the compare-and-set over it.
 *
 * A flip is: check → write to disk → put in the planes → answer. Disk before planes, so that a flip that cannot be kept is
 * refused as a whole and visitors never see a target that a restart would take back. When the process dies between the
 * two, the restart serves a target whose health had passed and whose sender, missing the answer, asks for the generation
 * and finds its flip done. The old container cannot be stopped before that answer, so either table can be served.
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

/** What is known of an upstream beside what is saved. */
export interface Kept {
  readonly entry: UpstreamEntry;
  readonly lastFlip: FlipAnswer;
  /** What the last flip replaced and may be flipped back to; null: nothing, or it is not known any more. */
  readonly before: UpstreamEntry | null;
}

export class Table {
  readonly #file: TableFile;
  readonly #planes: Planes;
  readonly #clock: Clock;
  readonly #startedAt: Date;
  readonly #watches: Watches;
  readonly #kept = new Map<string, Kept>();
  /** Why nothing could be restored; null when all is well, and again once a new table is on disk. */
  #unreadable: readonly string[] | null = null;
  /** The end of the last change: changes happen one after the other. Their number is bounded by the admin connections. */
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
   * The saved table, served by the planes. Damage on disk does not stop the proxy; see {@link Table.unreadable}.
   * @param inherited what the process before this one has in memory; then the file only gets what changes later
   */
  static async restore(
    file: TableFile,
    planes: Planes,
    clock: Clock,
    inherited: readonly Kept[] | null = null,
  ): Promise<Table> {
    const table = new Table(file, planes, clock);
    const restored = await file.restore();
    // To a successor as well that inherits nothing: with the first change one copy would have become whole again.
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

  /** @param listener called now and after each change, with all that is served */
  onChange(listener: (entries: readonly UpstreamEntry[]) => void): void {
    this.#listener = listener;
    listener(this.entries);
  }

  /** Evidence of ORK_TABLE_UNREADABLE: routes are missing that nobody removed. */
  get unreadable(): readonly string[] | null {
    return this.#unreadable;
  }

  /** All that is served. */
  get entries(): readonly UpstreamEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry);
  }

  /**
   * Nothing changes while `work` runs. When it is done, the table is another process's, and every later change is refused
   * here; when it fails, all goes on.
   */
  yield(work: (kept: readonly Kept[]) => Promise<void>): Promise<void> {
    return this.#exclusively(async () => {
      await work([...this.#kept.values()]);
      this.#yielded = true;
      this.#watches.abandon();
    });
  }

  /**
   * @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN; whatever the disk says when the table cannot be kept.
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
   * Serves again what the last flip replaced: its targets, routes and settings, under the generation of now.
   * @throws OrkestrError ORK_NOT_FOUND, ORK_GENERATION_STALE, ORK_CONFLICT when that target is not known any more,
   *   ORK_ROUTE_TAKEN
   */
  flipBack(request: FlipBackRequest): Promise<FlipAnswer> {
    return this.#exclusively(async () => {
      const kept = this.#expected(request.upstreamId, request.expectedGeneration);
      const entry = judgeFlipBack(kept, request);
      if (entry === 'replay') return { ...kept.lastFlip, changed: false };
      await this.#save(entry);
      const answer = await this.#put(entry, kept);
      // A way back from the way back would be a flip to a target that went bad.
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

  /** Takes an environment off the table. What is in flight to it ends by itself, or by a drain. */
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
   * In turn with all changes, though nothing of it is on disk: a successor is told the holds that there are when it is begun, and
   * would let visitors through to whatever is stopped meanwhile.
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
   * Answers at once when the active target goes bad.
   * @param given up when it aborts
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

  /** Other routes and settings, also for what a flip back leads to. */
  async #amend(kept: Kept, entry: UpstreamEntry): Promise<void> {
    await this.#save(entry);
    await this.#planes.amend(entry);
    this.#kept.set(entry.id, { ...kept, entry, before: kept.before && withEdge(kept.before, entry) });
    this.#listener(this.entries);
  }

  async #put(entry: UpstreamEntry, kept: Kept | null): Promise<FlipAnswer> {
    const replaced = await this.#planes.put(entry);
    const lastFlip = kept && isMove(kept.entry, entry) ? kept.lastFlip : this.#flipNow(entry, replaced);
    // New settings for the same target are no flip that could be taken back.
    const before = replaced === null ? (kept?.before ?? null) : (kept?.entry ?? null);
    this.#kept.set(entry.id, { entry, lastFlip, before });
    this.#watches.changed(entry.id, entry.targets[0]?.id ?? null);
    this.#listener(this.entries);
    return { ...lastFlip, changed: true };
  }

  #flipNow({ generation }: UpstreamEntry, previous: FlipAnswer['previous']): FlipAnswer {
    return { generation, flippedAt: this.#clock.now().toISOString(), changed: true, previous };
  }

  /** One change at a time, so that the compare-and-set and its write belong together. */
  #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(() => {
      if (this.#yielded) throw handedOver();
      return change();
    });
    // The next change does not care how this one ended; who asked for it gets the rejection.
    this.#lastChange = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }
}
