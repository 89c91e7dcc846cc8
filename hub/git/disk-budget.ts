/** The disk that pushes may fill: one account for all of them, or each would be promised what the others are. */
import { OrkestrError } from '../../protocol/errors.ts';

interface ReservationRequest {
  /** Bytes that the repository has. */
  readonly size: number;
  /** Bytes that it may still grow by. */
  readonly most: number;
  /** Bytes that the push brings; null: nobody knows before its end. */
  readonly length: number | null;
}

/** What a push may write, kept for it. */
export interface Reservation {
  readonly bytes: number;
  /** Whether a second copy of the repository fits in, too, as git makes one when it packs it anew. */
  readonly mayPack: boolean;
  /** So many bytes have come: they are on the disk now, or as good as. */
  received(bytes: number): void;
  /** The push has ended. */
  release(): void;
}

/** Of what is left, one whose length nobody knows leaves some to small ones that come meanwhile. */
const LARGEST_PART = 7 / 8;

interface Promised {
  /** What has not come yet. */
  bytes: number;
  readonly forPacking: number;
}

export class DiskBudget {
  readonly #free: () => Promise<number>;
  readonly #open = new Set<Promised>();

  /** @param free bytes that may be written to the disk now; throws when there are none */
  constructor(free: () => Promise<number>) {
    this.#free = free;
  }

  /** @throws OrkestrError ORK_TOO_MANY_REQUESTS when it fits in, but for what is promised to others; and what `free` throws */
  async reserve({ size, most, length }: ReservationRequest): Promise<Reservation> {
    const free = await this.#free();
    // Nothing is awaited from here on: no two pushes see the same room.
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
