/** Divides the free disk space between concurrent pushes: one account for all, so that no space is promised twice. */
import { OrkestrError } from '../../protocol/errors.ts';

interface ReservationRequest {
  /** Current size of the repository, bytes. */
  readonly size: number;
  /** Bytes that it may still grow by. */
  readonly most: number;
  /** Bytes that the push brings; null: unknown until its end. */
  readonly length: number | null;
}

/** Disk space reserved for one push. */
export interface Reservation {
  readonly bytes: number;
  /** Whether there is also room for a second copy of the repository, which git writes when it repacks. */
  readonly mayPack: boolean;
  /** That many bytes have arrived and now count as used disk space. */
  received(bytes: number): void;
  /** The push has ended. */
  release(): void;
}

/** A push of unknown length leaves part of the free space to small pushes that arrive meanwhile. */
const LARGEST_PART = 7 / 8;

interface Promised {
  /** Bytes that have not arrived yet. */
  bytes: number;
  readonly forPacking: number;
}

export class DiskBudget {
  readonly #free: () => Promise<number>;
  readonly #open = new Set<Promised>();

  /** @param free returns the bytes that may be written to the disk now; throws when there are none */
  constructor(free: () => Promise<number>) {
    this.#free = free;
  }

  /** @throws OrkestrError ORK_TOO_MANY_REQUESTS when only other reservations are in the way; and what `free` throws */
  async reserve({ size, most, length }: ReservationRequest): Promise<Reservation> {
    const free = await this.#free();
    // No await from here on, so no two pushes see the same space.
    const left = free - this.#promised();
    const bytes = Math.floor(Math.min(most, length === null ? left * LARGEST_PART : left));
    const waitingHelps = length === null ? bytes <= 0 : length > left && length <= Math.min(most, free);
    if (bytes <= 0 || waitingHelps) throw promisedToOthers();
    const wanted = Math.min(bytes, length ?? bytes);
    const mayPack = size <= left - wanted;
    const promised: Promised = { bytes: wanted, forPacking: mayPack ? size : 0 };
    this.#open.add(promised);
    return {
      bytes,
      mayPack,
      received: (count) => void (promised.bytes = Math.max(0, promised.bytes - count)),
      release: () => void this.#open.delete(promised),
    };
  }

  #promised(): number {
    let sum = 0;
    for (const { bytes, forPacking } of this.#open) sum += bytes + forPacking;
    return sum;
  }
}

const promisedToOthers = (): OrkestrError =>
  new OrkestrError(
    'ORK_TOO_MANY_REQUESTS',
    'Pushes in progress have reserved the rest of the disk. Try again when they have finished.',
  );
