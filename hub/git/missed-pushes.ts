/**
 * Deploys pushes that landed while the hub could not hear of them, because it was killed or restarted. Pushing again
 * would move no branch, so the hub would never learn of them. Instead the hook leaves a note, and the next sweep
 * deploys it.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Uuid } from '../../protocol/ids.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { parseUpdate, type Push, type RefUpdate } from './push.ts';

const SWEEP_MS = 15_000;
/** Notes processed per sweep. */
const MAX_AT_ONCE = 100;
/** A complete note: the hook writes it under another name and renames it. */
const NAME = /^[0-9a-f-]{36}$/;

export class MissedPushes {
  /** Folder of the notes. The first line holds the ids of project and user, the others are git's ref updates. */
  readonly folder: string;
  readonly #deploy: (push: Push, updates: readonly RefUpdate[]) => Promise<void>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isSweeping = false;

  constructor(folder: string, deploy: (push: Push, updates: readonly RefUpdate[]) => Promise<void>, log: Logger) {
    this.folder = folder;
    this.#deploy = deploy;
    this.#log = log;
  }

  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.sweep();
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never throws: a note that fails stays for the next sweep. */
  async sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    const names = await readdir(this.folder).catch((error: unknown) => this.#failed(error));
    for (const name of names.filter((one) => NAME.test(one)).slice(0, MAX_AT_ONCE)) {
      await this.#follow(join(this.folder, name)).catch((error: unknown) => this.#failed(error));
    }
    this.#isSweeping = false;
  }

  #failed(error: unknown): [] {
    this.#log.error({ err: error }, 'a push that was missed could not be deployed');
    return [];
  }

  async #follow(path: string): Promise<void> {
    const [head = '', ...lines] = (await readFile(path, 'utf8')).split('\n');
    const [projectId, userId] = head.split(' ');
    if (Uuid.safeParse(projectId).success && Uuid.safeParse(userId).success) {
      const updates = lines.map(parseUpdate).filter((update) => update !== undefined);
      await this.#deploy({ projectId: String(projectId), userId: String(userId) }, updates);
    }
    await rm(path);
  }
}
