/**
 * Pushes that landed while no hub heard of them: it was killed, or restarted meanwhile. Pushed again they move no branch, so
 * nobody would ever hear of them. Their hook leaves a note, and a hub that is there makes the deployments.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Uuid } from '../../protocol/ids.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { parseUpdate, type Push, type RefUpdate } from './push.ts';

const SWEEP_MS = 15_000;
/** Notes taken up in one look. */
const MOST_AT_ONCE = 100;
/** A note that is whole: the hook renames it to that. */
const NAME = /^[0-9a-f-]{36}$/;

export class MissedPushes {
  /** Where hooks leave their notes: the ids of project and user in the first line, then what git told of refs. */
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

  /** Never throws: a note that cannot be followed now stays for the next look. */
  async sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    const names = await readdir(this.folder).catch((error: unknown) => this.#failed(error));
    for (const name of names.filter((one) => NAME.test(one)).slice(0, MOST_AT_ONCE)) {
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
