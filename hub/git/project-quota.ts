/** How large the repository of a project may be: what a push may write into it, and room made there when one does not fit in. */
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
  /** Branches, tags and other refs that one project may have, but for what one push brings at once. */
  readonly refLimit: number;
}

interface ProjectReservation extends Reservation {
  /** Of what there is as much as may be: nothing may be brought then; branches may be deleted. */
  readonly full: 'bytes' | 'refs' | null;
}

export class ProjectQuota {
  readonly #options: ProjectQuotaOptions;
  /** Sizes after the last pruning, by project: of one that is as it was nothing can be pruned. */
  readonly #pruned = new Map<string, number>();
  /** Projects of which a push brought more than fits in, as was only seen when it came. */
  readonly #tooSmall = new Set<string>();

  constructor(options: ProjectQuotaOptions) {
    this.#options = options;
  }

  /**
   * What is left of the project's size, and of the disk. Call it in the turn of a push, or each would have it.
   * @param length bytes that the push brings; null: nobody knows before its end
   * @param stopping ends a pruning
   * @throws OrkestrError ORK_TOO_MANY_REQUESTS, ORK_DISK_FULL
   */
  async reserve(projectId: string, length: number | null, stopping: AbortSignal): Promise<ProjectReservation> {
    const { repositories, budget, sizeLimit, refLimit } = this.#options;
    let size = await repositories.size(projectId);
    const isTooSmall = this.#tooSmall.delete(projectId) || size >= sizeLimit || (length ?? 0) > sizeLimit - size;
    // Who only asks for the branches writes nothing, and git packs nothing: all releases are not gone through for it.
    const mayPrune = (isTooSmall || length !== 0) && (await this.#keepCommits(projectId));
    if (isTooSmall && mayPrune && size !== this.#pruned.get(projectId)) {
      await this.#prune(projectId, size, stopping);
      size = await repositories.size(projectId);
    }
    const most = sizeLimit - size;
    const hasAllRefs = await repositories.hasRefs(projectId, refLimit);
    // git takes 0 for no limit at all.
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

  /** What is told to who pushes into a repository that has all it may. */
  told(full: 'bytes' | 'refs'): string {
    const { sizeLimit, refLimit } = this.#options;
    const words = {
      bytes: `The repository has reached its limit of ${inMiB(sizeLimit)} MiB. Delete unused branches and tags, or remove large files from the history: the next push then frees everything that no release needs.`,
      refs: `The repository has reached its limit of ${refLimit} branches and tags. Delete unused ones.`,
    };
    return words[full];
  }

  /** After a push: what it brought stays few files, whatever else becomes of it. Call it in its turn. */
  async tidy(projectId: string): Promise<void> {
    const { repositories, log } = this.#options;
    try {
      const packed = await repositories.packRefs(projectId);
      if (packed?.ok === false) log.warn({ projectId, stderr: packed.stderr }, 'the branches could not be packed');
    } catch (error) {
      log.warn({ err: error, projectId }, 'the branches could not be packed');
    }
  }

  /** The repository is no more. */
  forget(projectId: string): void {
    this.#pruned.delete(projectId);
    this.#tooSmall.delete(projectId);
  }

  /** Whether git may prune: what is still needed has its refs. */
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
    // Its copy, as git makes one.
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
