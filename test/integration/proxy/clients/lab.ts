/** A proxy process whose app is flipped all the time, for clients that people really use. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runProgram } from '../../../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../../../installer/stack/run-program.ts';
import type { AppCommands } from '../../../bench/cutover/app/run.ts';
import { Flipper } from '../../../bench/cutover/flipper.ts';
import { SecureEdge } from '../../../bench/cutover/secure-edge.ts';
import { Worker } from '../../../bench/cutover/worker.ts';

/** Interval between flips, ms. */
const FLIP_EVERY_MS = 80;
/** A client that hangs fails its test after this, ms. */
const CLIENT_TIMEOUT_MS = 30_000;
export const HOST = 'app.test';

export class ClientLab {
  /** For files of the clients; removed with the lab. */
  readonly folder: string;
  readonly edge: SecureEdge;
  readonly #apps: readonly Worker<AppCommands>[];
  readonly #flipper: Flipper;
  readonly #over = new AbortController();
  #flipping: Promise<void> = Promise.resolve();

  static async start(): Promise<ClientLab> {
    const folder = mkdtempSync(join(tmpdir(), 'orkestr-clients-'));
    try {
      return new ClientLab(folder, await SecureEdge.start([HOST, 'localhost']));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(folder: string, edge: SecureEdge) {
    this.folder = folder;
    this.edge = edge;
    this.#apps = [1, 2].map(() => new Worker<AppCommands>(new URL('app.ts', import.meta.url), [folder]));
    this.#flipper = new Flipper({
      edge: edge.process,
      apps: this.#apps,
      hosts: [HOST, 'localhost'],
      plan: { deadlineSeconds: 4, streamDeadlineSeconds: 4, spreadSeconds: 0.1 },
      retired: () => undefined,
    });
  }

  /** Resolves when the first version is live; from then on versions follow each other. */
  async flip(): Promise<void> {
    await this.#flipper.flip();
    this.#flipping = this.#flipOn();
  }

  /** The proxy's cleartext or TLS port. */
  port(scheme: 'http' | 'https'): string {
    const url = this.edge.process.urls[scheme];
    if (url === null) throw new Error(`this proxy serves no ${scheme}`);
    return new URL(url).port;
  }

  /** `http://app.test:PORT/...`; the client must be told the address of app.test. */
  url(scheme: 'http' | 'https', path: string, host = HOST): string {
    return `${scheme}://${host}:${this.port(scheme)}${path}`;
  }

  /** Ends everything. Rejects when a flip or a drain went wrong. */
  async stop(): Promise<void> {
    this.#over.abort();
    try {
      await this.#flipping;
    } finally {
      await Promise.all([...this.#apps, this.edge].map((started) => started.stop()));
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  async #flipOn(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await Promise.all([this.#flipper.flip(), pause(FLIP_EVERY_MS)]);
    }
  }
}

/** Runs a client program to its end. */
export function runClient(argv: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}): Promise<ProgramResult> {
  return runProgram(argv, { env: { ...process.env, ...env }, timeoutMs: CLIENT_TIMEOUT_MS });
}
