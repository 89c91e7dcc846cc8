/** A folder for the files of a test, emptied before each plan. */
import { strict as assert } from 'node:assert';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import { BaseImages } from './base-images.ts';
import { planBuild } from './index.ts';
import type { PlanRequest } from './index.ts';

/** Settings and other inputs of a plan. */
type Asked = PlanRequest['settings'] &
  Partial<Pick<PlanRequest, 'port' | 'rootDirectory' | 'capabilities' | 'budget' | 'variables'>> & {
    /** Base images that the host built itself. */
    readonly madeHere?: readonly string[];
    readonly baseImages?: Partial<BaseImages>;
  };

export class RepositoryFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<RepositoryFolder> {
    return new RepositoryFolder(await mkdtemp(join(tmpdir(), 'orkestr-detect-')));
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true });
  }

  /** Replaces all files: path → content. Some tests write thousands, which takes several times as long with promises. */
  replaceFiles(files: Readonly<Record<string, string | Buffer>>): void {
    for (const name of readdirSync(this.path)) rmSync(join(this.path, name), { recursive: true });
    for (const folder of new Set(Object.keys(files).map(dirname)))
      mkdirSync(join(this.path, folder), { recursive: true });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.path, name), content);
  }

  async plan(files: Readonly<Record<string, string | Buffer>>, asked: Asked = {}): Promise<BuildPlan> {
    this.replaceFiles(files);
    return this.planAsItIs(asked);
  }

  planAsItIs({
    port,
    rootDirectory = '.',
    madeHere = [],
    baseImages = {},
    capabilities = [],
    budget,
    variables,
    ...settings
  }: Asked = {}): Promise<BuildPlan> {
    return planBuild({
      checkout: this.path,
      rootDirectory,
      settings,
      port,
      capabilities,
      surroundings: {
        baseImages: BaseImages.parse(baseImages),
        isMadeHere: async (image) => madeHere.includes(image),
        cacheScope: 'scope',
      },
      ...(variables && { variables }),
      ...(budget && { budget }),
    });
  }

  /** The error that `plan` throws. */
  async refusal(...asked: Parameters<RepositoryFolder['plan']>): Promise<OrkestrError> {
    const error = await this.plan(...asked).then(
      () => assert.fail('a plan was made'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof OrkestrError, String(error));
    return error;
  }
}

/** `value (where it was read)` for a subject of a plan. */
export const evidenceOf = ({ evidence }: BuildPlan, subject: string): string =>
  evidence
    .filter((one) => one.subject === subject)
    .map(({ value, from }) => `${value} (${from})`)
    .join(', ');
