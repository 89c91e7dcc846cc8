/**
 * The table on disk: two copies, of which the older one is overwritten with each save, and the one with the higher serial
 * number that is whole is the table (docs/adr/0026). What cannot be read is never taken for an empty table: the other copy serves,
 * and if that is damaged too the proxy says so (ORK_TABLE_UNREADABLE) and keeps both files for a look.
 */
import { renameSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Table } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { type Copy, readCopy, writeCopy } from './table-copy.ts';

const NAMES = ['table.a.json', 'table.b.json'] as const;

type Restored =
  | { readonly from: 'file' | 'other copy' | 'nothing'; readonly table: Table }
  | { readonly from: 'unreadable'; readonly evidence: readonly string[] };

interface Slot {
  readonly path: string;
  /** Of the copy in it, as far as it is whole. */
  serial: number;
  /** Found damaged at start. It stays where it is until it is to be written, so that a restart finds it again. */
  isDamaged: boolean;
}

export class TableFile {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #write: typeof writeCopy;
  readonly #slots: readonly [Slot, Slot];

  /** @param write what puts a copy on disk; a test lets it fail */
  constructor(directory: string, log: Logger, write: typeof writeCopy = writeCopy) {
    this.#write = write;
    this.#directory = directory;
    this.#log = log;
    const [a, b] = NAMES.map((name) => ({ path: join(directory, name), serial: -1, isDamaged: false })) as [Slot, Slot];
    this.#slots = [a, b];
  }

  /** Reads the table once, at start. Never rejects for what stands in the files. */
  async restore(): Promise<Restored> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const copies = await Promise.all(this.#slots.map(({ path }) => readCopy(path)));
    for (const [at, slot] of this.#slots.entries()) {
      const copy = copies[at];
      slot.serial = copy?.is === 'whole' ? copy.serial : -1;
      slot.isDamaged = copy?.is === 'damaged';
    }
    const [newest] = copies.filter((copy) => copy.is === 'whole').toSorted((a, b) => b.serial - a.serial);
    const isDamaged = this.#slots.some((slot) => slot.isDamaged);
    const evidence = this.#slots.map(({ path }, at) => describe(path, copies[at]));
    if (newest !== undefined) {
      if (isDamaged)
        this.#log.error({ evidence }, 'a copy of the table is damaged; serving the other, which may be older');
      return { from: isDamaged ? 'other copy' : 'file', table: newest.table };
    }
    if (!isDamaged) return { from: 'nothing', table: { version: 1, upstreams: [] } };
    this.#log.error({ code: 'ORK_TABLE_UNREADABLE', evidence }, 'no copy of the table can be read');
    return { from: 'unreadable', evidence };
  }

  /**
   * Makes the copies that are absent, of the table as it was restored: the first flips need not wait for new files. What stands
   * in their way is the next flip's matter.
   */
  async fill(table: Table): Promise<void> {
    const serial = Math.max(0, ...this.#slots.map((slot) => slot.serial));
    for (const slot of this.#slots.filter((each) => each.serial < 0 && !each.isDamaged)) {
      try {
        await this.#write(slot.path, serial, table);
        slot.serial = serial;
      } catch (error) {
        this.#log.warn({ err: error, path: slot.path }, 'a copy of the table could not be made ahead');
      }
    }
  }

  /**
   * Resolves when the table is on disk. Rejects when it is not; then a restart finds the one before. A flip waits for this.
   * @throws OrkestrError ORK_DISK_FULL, or what the system says
   */
  async save(table: Table): Promise<void> {
    const [a, b] = this.#slots;
    const [older, newer] = a.serial <= b.serial ? [a, b] : [b, a];
    if (older.isDamaged) {
      renameSync(older.path, `${older.path}.damaged`);
      older.isDamaged = false;
    }
    older.serial = -1; // until it is whole again it is the one to be written
    const serial = newer.serial + 1;
    try {
      await this.#write(older.path, serial, table);
    } catch (error) {
      // It may be whole all the same, and the change that it holds is refused: a restart must not find it.
      await rm(older.path, { force: true }).catch(() => undefined); // why it could not be written says enough
      throw error;
    }
    older.serial = serial;
  }
}

function describe(path: string, copy: Copy | undefined): string {
  if (copy?.is === 'damaged') return `${path}: ${copy.damage}`;
  return `${path}: ${copy?.is === 'whole' ? 'readable' : 'absent'}`;
}
