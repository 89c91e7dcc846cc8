/** A lab: hosts on one network of the machine's engine, a release made for them, and timed phases. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeReleaseKey } from '../../installer/release/signature.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { testRelease } from '../harness/release.ts';
import { removeHierarchies } from './container/hierarchies.ts';
import type { HostImage, LabHost } from './host.ts';
import { ownerLabel, removeOrphans } from './orphans.ts';

interface Phase {
  readonly name: string;
  readonly seconds: number;
  /** Null if there was no traffic. */
  readonly failedRequests: number | null;
  readonly ok: boolean;
  /** The error. */
  readonly why?: string;
}

/** Where a host finds the release before a hub serves it. */
export const RELEASE_ON_HOST = '/release';

/** Base images for its engine, as archives of `docker save`. */
export const IMAGES_ON_HOST = '/images';

/** Time in which the kernel drops what belonged to a removed host, ms. */
const LEAVE_MS = 15_000;

export class Lab {
  readonly phases: Phase[] = [];
  /** Folder on this machine: work trees, the release. */
  readonly folder = mkdtempSync(join(tmpdir(), 'ork-lab-'));
  readonly #name = `orklab-${randomBytes(3).toString('hex')}`;
  readonly #say: (text: string) => void;
  readonly #hosts: LabHost[] = [];
  #count = 0;
  #closing: Promise<void> | undefined;

  private constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** Opens a lab. First removes what labs whose process was killed have left behind. */
  static async open(say: (text: string) => void): Promise<Lab> {
    await removeOrphans();
    await removeHierarchies();
    const lab = new Lab(say);
    for (const folder of [lab.releaseFolder, lab.imageFolder]) mkdirSync(folder);
    // Virtual machines join its bridge, by name.
    const network = [`--opt=com.docker.network.bridge.name=${lab.#name}`, ...ownerLabel(), lab.#name];
    await mustRun('docker network create', ['docker', 'network', 'create', ...network]);
    return lab;
  }

  get releaseFolder(): string {
    return join(this.folder, 'release');
  }

  get imageFolder(): string {
    return join(this.folder, 'images');
  }

  /** Key that signs the releases after the first one, which names it. */
  get keyFile(): string {
    return join(this.folder, 'key.pem');
  }

  /** Creates a key of somebody else. */
  foreignKey(): string {
    const file = join(this.folder, 'foreign-key.pem');
    makeReleaseKey(file);
    return file;
  }

  /** Puts a release of these sources for this machine where hosts find it. */
  async release(): Promise<void> {
    const { folder, nextKeyFile } = await testRelease(this.folder);
    cpSync(folder, this.releaseFolder, { recursive: true });
    copyFileSync(nextKeyFile, this.keyFile);
  }

  async boot(name: string, image: HostImage): Promise<LabHost> {
    const folders = { [this.releaseFolder]: RELEASE_ON_HOST, [this.imageFolder]: IMAGES_ON_HOST };
    this.#count += 1;
    const number = this.#count;
    const stateFolder = join(this.folder, name);
    mkdirSync(stateFolder);
    const host = await image.boot({ name, number, network: this.#name, folders, stateFolder });
    this.#hosts.push(host);
    return host;
  }

  /** Runs a phase. `work` returns the number of failed requests. An error is recorded and rethrown. */
  async phase(name: string, work: () => Promise<number | void>): Promise<void> {
    const began = performance.now();
    const seconds = (): number => Math.round((performance.now() - began) / 100) / 10;
    try {
      const failedRequests = (await work()) ?? null;
      const ok = failedRequests === null || failedRequests === 0;
      this.phases.push({ name, seconds: seconds(), failedRequests, ok });
    } catch (error) {
      const why = (error as Error).message;
      this.phases.push({ name, seconds: seconds(), failedRequests: null, ok: false, why });
      throw error;
    } finally {
      const last = this.phases.at(-1);
      this.#say(`${last?.ok ? '✓' : '✗'} ${name.padEnd(32)} ${String(last?.seconds).padStart(6)} s`);
    }
  }

  /** Runs once: both a signal and the end of the phase that it interrupts close the lab. */
  close(): Promise<void> {
    this.#closing ??= this.#takeAway();
    return this.#closing;
  }

  async #takeAway(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.remove()));
    await removeHierarchies(LEAVE_MS);
    await mustRun('docker network rm', ['docker', 'network', 'rm', this.#name]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
