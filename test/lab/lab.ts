/** A lab: hosts on one network of the machine's engine, a release that was made for them, and phases that are timed. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReleaseTarget } from '../../protocol/release.ts';
import { makeRelease } from '../../installer/release/release.ts';
import { makeReleaseKey } from '../../installer/release/signature.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { removeHierarchies } from './container/hierarchies.ts';
import type { HostImage, LabHost } from './host.ts';
import { ownerLabel, removeOrphans } from './orphans.ts';

interface Phase {
  readonly name: string;
  readonly seconds: number;
  /** Null: there was no traffic. */
  readonly failedRequests: number | null;
  readonly ok: boolean;
  /** What was wrong. */
  readonly why?: string;
}

/** Where a host finds the release before any hub has it. */
export const RELEASE_ON_HOST = '/release';

/** Base images for its engine, as archives of `docker save`. */
export const IMAGES_ON_HOST = '/images';

/** In which what a removed host had in the kernel is gone, ms. */
const LEAVE_MS = 15_000;

export class Lab {
  readonly phases: Phase[] = [];
  /** For this side: work trees, the release. */
  readonly folder = mkdtempSync(join(tmpdir(), 'ork-lab-'));
  readonly #name = `orklab-${randomBytes(3).toString('hex')}`;
  readonly #say: (text: string) => void;
  readonly #hosts: LabHost[] = [];
  #count = 0;
  #closing: Promise<void> | undefined;

  private constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** Takes away first what labs have left whose process was killed. */
  static async open(say: (text: string) => void): Promise<Lab> {
    await removeOrphans();
    await removeHierarchies();
    const lab = new Lab(say);
    for (const folder of [lab.releaseFolder, lab.imageFolder]) mkdirSync(folder);
    // Virtual machines are put on its bridge, by name.
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

  /** Who signs the lab's releases. */
  get keyFile(): string {
    return join(this.folder, 'key.pem');
  }

  /** Of somebody else. */
  foreignKey(): string {
    const file = join(this.folder, 'foreign-key.pem');
    makeReleaseKey(file);
    return file;
  }

  /** A release of these sources for this machine, packed fast, signed with a key that is thrown away. */
  async release(): Promise<void> {
    const { keyFile } = this;
    makeReleaseKey(keyFile);
    await makeRelease({
      root: ROOT,
      out: this.releaseFolder,
      targets: [ReleaseTarget.parse(`linux-${arch()}`)],
      keyFile,
      url: '',
      preset: 0,
      say: () => undefined,
    });
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

  /** Runs a phase. What it answers is the number of failed requests; a failure is kept, and thrown. */
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

  /** Once: a signal ends the phase that is under way, and both want the lab closed. */
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
