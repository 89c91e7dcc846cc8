/** Enforces the repository limits of a project: how much a push may write, with pruning when a push does not fit. */
import type { Logger } from '../../protocol/service/logger.ts';
import type { Db } from '../store/database.ts';
import { listNeededCommits } from '../store/releases.ts';
import { keepCommits } from './kept-commits.ts';
import type { Repositories } from './repositories.ts';
import type { DiskBudget, Reservation } from './disk-budget.ts';

interface ProjectQuotaOptions {
  readonly repositories: Repositories;
  readonly budget: DiskBudget;
  readonly db: Db;
  readonly log: Logger;
  /** Bytes that one project may have. */
  readonly sizeLimit: number;
  /** Branches, tags and other refs that one project may have. Checked before a push, so a single push may exceed it. */
  readonly refLimit: number;
}

interface ProjectReservation extends Reservation {
  /** The limit that is already reached: such a project accepts only deletions of refs. */
  readonly full: 'bytes' | 'refs' | null;
}

export class ProjectQuota {
  readonly #options: ProjectQuotaOptions;
  /** Sizes after the last pruning, by project: an unchanged size means that pruning again would free nothing. */
  readonly #pruned = new Map<string, number>();
  /** Projects whose last push turned out larger than its reservation while it was received. */
  readonly #tooSmall = new Set<string>();

  constructor(options: ProjectQuotaOptions) {
    this.#options = options;
  }

  /**
   * Reserves what is left of the project's limit and of the disk. Call it in the turn of a push, since concurrent calls
   * would each get the same space.
   * @param length bytes that the push brings; null: unknown until its end
   * @param stopping aborts a pruning
   * @throws OrkestrError ORK_TOO_MANY_REQUESTS, ORK_DISK_FULL
   */
  async reserve(projectId: string, length: number | null, stopping: AbortSignal): Promise<ProjectReservation> {
    const { repositories, budget, sizeLimit, refLimit } = this.#options;
    let size = await repositories.size(projectId);
    const isTooSmall = this.#tooSmall.delete(projectId) || size >= sizeLimit || (length ?? 0) > sizeLimit - size;
    // A request that only lists refs writes nothing, so git packs nothing: skip the scan of all releases.
    const mayPrune = (isTooSmall || length !== 0) && (await this.#keepCommits(projectId));
    if (isTooSmall && mayPrune && size !== this.#pruned.get(projectId)) {
      await this.#prune(projectId, size, stopping);
      size = await repositories.size(projectId);
    }
    const most = sizeLimit - size;
    const hasAllRefs = await repositories.hasRefs(projectId, refLimit);
    // git treats 0 as unlimited.
    const reservation = await budget.reserve({ size, most: Math.max(1, most), length });
    let left = reservation.bytes;
    return {
      ...reservation,
      full: most <= 0 ? 'bytes' : hasAllRefs ? 'refs' : null,
      mayPack: reservation.mayPack && mayPrune,
      received: (bytes) => {
        reservation.received(bytes);
        left -= bytes;
        if (left < 0) this.#tooSmall.add(projectId);
      },
    };
  }

  /** Message for a push to a repository that has reached its limit. */
  refusalFor(full: 'bytes' | 'refs'): string {
    const { sizeLimit, refLimit } = this.#options;
    const words = {
      bytes: `The repository has reached its limit of ${inMiB(sizeLimit)} MiB. Delete unused branches and tags, or remove large files from the history: the next push then frees everything that no release needs.`,
      refs: `The repository has reached its limit of ${refLimit} branches and tags. Delete unused ones.`,
    };
    return words[full];
  }

  /** Pack the refs after a push, so that they stay few files. Call it in the push's turn. */
  async tidy(projectId: string): Promise<void> {
    const { repositories, log } = this.#options;
    try {
      const packed = await repositories.packRefs(projectId);
      if (packed?.ok === false) log.warn({ projectId, stderr: packed.stderr }, 'the branches could not be packed');
    } catch (error) {
      log.warn({ err: error, projectId }, 'the branches could not be packed');
    }
  }

  /** The repository has been removed. */
  forget(projectId: string): void {
    this.#pruned.delete(projectId);
    this.#tooSmall.delete(projectId);
  }

  /** Ensure that all needed commits have refs. Returns whether git may prune. */
  async #keepCommits(projectId: string): Promise<boolean> {
    const { repositories, db, log } = this.#options;
    try {
      await keepCommits(repositories, projectId, await listNeededCommits(db, projectId));
      return true;
    } catch (error) {
      log.error({ err: error, projectId }, 'nothing is pruned in the repository: commits of releases could go with it');
      return false;
    }
  }

  async #prune(projectId: string, size: number, stopping: AbortSignal): Promise<void> {
    const { repositories, budget, log } = this.#options;
    // Room for the second copy that git writes while it repacks.
    const reservation = await budget.reserve({ size, most: 1, length: 0 });
    try {
      if (!reservation.mayPack) return;
      const { ok, stderr } = await repositories.prune(projectId, stopping);
      if (ok) this.#pruned.set(projectId, await repositories.size(projectId));
      else log.warn({ projectId, stderr }, 'the repository could not be pruned');
    } finally {
      reservation.release();
    }
  }
}

const inMiB = (bytes: number): number => Math.round(bytes / 1024 ** 2);
