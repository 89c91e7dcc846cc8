/**
 * The table on disk: two copies. Each save overwrites the older one, and the valid copy with the higher serial number
 * is the table (docs/adr/0026). An unreadable copy is never taken for an empty table: the other copy is served. If that
 * is damaged too, the proxy reports ORK_TABLE_UNREADABLE and keeps both files for inspection.
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
  /** Serial of its copy; -1 when that is absent or damaged. */
  serial: number;
  /** Found damaged at start. The file stays in place until the slot is written, so that a restart finds it again. */
  isDamaged: boolean;
}

export class TableFile {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #write: typeof writeCopy;
  readonly #slots: readonly [Slot, Slot];

  /** @param write puts a copy on disk; a test makes it fail */
  constructor(directory: string, log: Logger, write: typeof writeCopy = writeCopy) {
    this.#write = write;
    this.#directory = directory;
    this.#log = log;
    const [a, b] = NAMES.map((name) => ({ path: join(directory, name), serial: -1, isDamaged: false })) as [Slot, Slot];
    this.#slots = [a, b];
  }

  /** Reads the table once, at start. Never rejects, whatever the files contain. */
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
   * Writes the restored table to the absent copies, so that the first flips need not create files. A failure is only
   * logged; the next flip meets it again.
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
   * Resolves once the table is on disk; a flip waits for that. If it rejects, a restart finds the previous table.
   * @throws OrkestrError ORK_DISK_FULL, or the system's error
   */
  async save(table: Table): Promise<void> {
    const [a, b] = this.#slots;
    const [older, newer] = a.serial <= b.serial ? [a, b] : [b, a];
    if (older.isDamaged) {
      renameSync(older.path, `${older.path}.damaged`);
      older.isDamaged = false;
    }
    older.serial = -1; // until it is valid again, it is the one to write
    const serial = newer.serial + 1;
    try {
      await this.#write(older.path, serial, table);
    } catch (error) {
      // It may be valid all the same, but its change is refused: a restart must not find it.
      await rm(older.path, { force: true }).catch(() => undefined); // the write error says enough
      throw error;
    }
    older.serial = serial;
  }
}

function describe(path: string, copy: Copy | undefined): string {
  if (copy?.is === 'damaged') return `${path}: ${copy.damage}`;
  return `${path}: ${copy?.is === 'whole' ? 'readable' : 'absent'}`;
}
