/** For tests: a builder with its own real sandbox, on the machine's engine with its debian base image. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OrkestrError } from '../../protocol/errors.ts';
import { BuildLimits } from '../../protocol/job.ts';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { BuildPlan, Image } from '../../protocol/steps.ts';
import { makeEngine } from '../../agent/docker/engine.ts';
import { makeImageStore } from '../../agent/docker/images.ts';
import type { BuildRequest, ImageBuilder, ImageStore } from '../../agent/deployment/ports.ts';
import { systemClock } from '../../agent/lib/clock.ts';
import type { Engine } from '../../agent/lib/engine.ts';
import { makeImageBuilder } from '../../agent/sandbox/build/builder.ts';
import { makeSandbox, type Sandbox } from '../../agent/sandbox/sandbox.ts';

const LIMITS = BuildLimits.parse({ memoryMiB: 256, pids: 256, timeoutSeconds: 120 });
export const DEBIAN = 'debian:trixie-slim';
const BUILD_ALONE = join(import.meta.dirname, 'build-alone.ts');

export interface TestBuild {
  readonly environmentId?: string;
  readonly projectId?: string;
  readonly deploymentId?: string;
  readonly limits?: Partial<BuildLimits>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly registries?: readonly RegistryLogin[];
  readonly origin?: BuildPlan['dockerfile']['origin'];
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly push?: BuildRequest['push'];
  readonly forElsewhere?: boolean;
  readonly revision?: BuildRequest['revision'];
  readonly again?: BuildRequest['again'];
  /** Those of the plan. */
  readonly files?: BuildPlan['files'];
  readonly signal?: AbortSignal;
  readonly onLog?: (text: string) => void;
  /** Builds in place of the test's own builder. */
  readonly builder?: ImageBuilder;
}

/** A plan with only this Dockerfile. */
export const planFor = (lines: readonly string[], parts: Partial<BuildPlan> = {}): BuildPlan => ({
  detector: 'test',
  confidence: 'certain',
  portGuessed: true,
  framework: 'none',
  runtime: 'none',
  evidence: [],
  warnings: [],
  rootDirectory: '.',
  dockerfile: { origin: 'generated', path: '.orkestr/Dockerfile', text: lines.join('\n') },
  files: [],
  ...parts,
});

const planOf = (lines: readonly string[], { origin = 'repository', files, target, buildArgs }: TestBuild): BuildPlan =>
  planFor(lines, {
    dockerfile: { origin, path: '.orkestr/Dockerfile', text: lines.join('\n') },
    ...(files !== undefined && { files }),
    ...(target !== undefined && { target }),
    ...(buildArgs !== undefined && { buildArgs }),
  });

interface Built {
  readonly image: Image;
  /** The whole log. */
  readonly text: string;
}

export class TestBuilder {
  readonly scope: string;
  readonly host: Engine = makeEngine({ socketPath: '/var/run/docker.sock' });
  readonly images: ImageStore;
  readonly folder: string;
  sandbox: Sandbox;
  #builder: ImageBuilder;
  readonly #environments = new Set<string>();

  readonly #slots: number;

  private constructor(folder: string, scope: string, slots = 1) {
    this.#slots = slots;
    this.folder = folder;
    this.scope = scope;
    this.images = makeImageStore(this.host, { scope });
    this.sandbox = this.#makeSandbox();
    this.#builder = this.#makeBuilder();
  }

  /** @param slots builds at the same time */
  static async start(slots = 1): Promise<TestBuilder> {
    const folder = await mkdtemp(join(tmpdir(), 'ork-build-'));
    await mkdir(join(folder, 'context'));
    await writeFile(join(folder, 'context', 'app.txt'), 'from the checkout');
    const test = new TestBuilder(folder, randomBytes(4).toString('hex'), slots);
    assert.ok(await test.images.find(DEBIAN), `the base image ${DEBIAN} is needed: orkestr-agent base-images build`);
    return test;
  }

  /** The same builder in another process. */
  static of({ folder, scope }: Pick<TestBuilder, 'folder' | 'scope'>): TestBuilder {
    return new TestBuilder(folder, scope);
  }

  /**
   * Recreates sandbox and builder, like a restart of the agent.
   * @param engineTimeoutMs longest wait for an answer of the sandbox's engine
   */
  restart(engineTimeoutMs?: number): void {
    this.sandbox = this.#makeSandbox(engineTimeoutMs);
    this.#builder = this.#makeBuilder();
  }

  /** Builds `lines` as the Dockerfile. */
  async build(lines: readonly string[], options: TestBuild = {}): Promise<Built> {
    const { environmentId = this.scope, projectId = 'a project', secrets = {}, registries = [] } = options;
    this.#environments.add(environmentId);
    const deploymentId = options.deploymentId ?? randomUUID();
    let text = '';
    const add = (more: string): void => {
      text += more;
      options.onLog?.(text);
    };
    const image = await (options.builder ?? this.#builder).build({
      owner: { deploymentId, environmentId, projectId },
      reference: `orkestr/${environmentId}:${deploymentId}`,
      contextDirectory: join(this.folder, 'context'),
      limits: { ...LIMITS, ...options.limits },
      secrets,
      registries,
      ...(options.push !== undefined && { push: options.push }),
      ...(options.forElsewhere !== undefined && { forElsewhere: options.forElsewhere }),
      ...(options.revision !== undefined && { revision: options.revision }),
      ...(options.again !== undefined && { again: options.again }),
      log: { write: (bytes) => add(Buffer.from(bytes).toString()), line: (line) => add(`${line}\n`) },
      signal: options.signal ?? new AbortController().signal,
      plan: planOf(lines, options),
    });
    return { image, text };
  }

  /** Builds in a separate process, and kills it as soon as the log matches `words`. */
  async buildUntilKilled(lines: readonly string[], environmentId: string, words: RegExp): Promise<void> {
    const request = JSON.stringify({ folder: this.folder, scope: this.scope, environmentId, lines });
    const agent = spawn(process.execPath, [BUILD_ALONE, request], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(agent, 'exit');
    let text = '';
    for await (const chunk of agent.stdout) if (words.test((text += String(chunk)))) break;
    agent.kill('SIGKILL');
    await ended;
    assert.match(text, words);
  }

  /** Returns the error of a build that must fail. */
  async failure(lines: readonly string[], options: TestBuild = {}): Promise<OrkestrError> {
    return this.build(lines, options).then(
      () => assert.fail('it should have failed'),
      (reason: OrkestrError) => reason,
    );
  }

  /** Uses the sandbox's engine directly. */
  withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const log = { write: () => undefined, line: () => undefined };
    const { signal } = new AbortController();
    return this.sandbox.use({ environmentId: this.scope, limits: LIMITS, log, signal }, ({ engine }) => work(engine));
  }

  /** Where its sandbox keeps its disks, and what runs. */
  get files(): { readonly stateDirectory: string; readonly runDirectory: string } {
    return { stateDirectory: join(this.folder, 'state'), runDirectory: join(this.folder, 'run') };
  }

  /** The network namespace of the first slot, which exists from the first build on. */
  get namespacePath(): string {
    return `/run/netns/orkb-${this.scope}a`;
  }

  async stop(): Promise<void> {
    await this.sandbox.purge();
    for (const environmentId of this.#environments) {
      for (const { id } of await this.images.list(environmentId)) await this.images.remove(id);
    }
    await rm(this.folder, { recursive: true, force: true });
    assert.ok(!existsSync(this.namespacePath));
  }

  #makeSandbox(timeoutMs?: number): Sandbox {
    return makeSandbox({
      ...this.files,
      scope: this.scope,
      diskMiB: 3072,
      slots: this.#slots,
      clock: systemClock,
      openEngine: (socketPath) =>
        makeEngine({ socketPath, disk: 'build', ...(timeoutMs !== undefined && { timeoutMs }) }),
    });
  }

  #makeBuilder(): ImageBuilder {
    const { scope, host: engine, sandbox } = this;
    return makeImageBuilder({
      scope,
      engine,
      imagesOf: (of) => makeImageStore(of, { scope }),
      sandbox,
      clock: systemClock,
    });
  }
}
