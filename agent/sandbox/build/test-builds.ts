/** Builds in a sandbox that several tests share. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestBuild, TestBuilder } from '../../../test/harness/builder.ts';
import { until } from '../../../test/harness/until.ts';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { type CgroupReading, makeBuildCgroup } from '../cgroup/cgroup.ts';
import { buildGroup } from '../cgroup/group.ts';

export const NODE = 'node:26-trixie-slim';

export class Builds {
  readonly builder: TestBuilder;
  readonly environmentId = randomUUID();
  readonly projectId = randomUUID();

  constructor(builder: TestBuilder) {
    this.builder = builder;
  }

  static async start(): Promise<Builds> {
    const builder = await TestBuilder.start();
    assert.ok(await builder.images.find(NODE), `the base image ${NODE} is needed: orkestr-agent base-images build`);
    return new Builds(builder);
  }

  /** Builds a plan with `lines` as its Dockerfile, and a file of its own. */
  build(lines: readonly string[], options: TestBuild = {}): ReturnType<TestBuilder['build']> {
    return this.builder.build(lines, {
      environmentId: this.environmentId,
      projectId: this.projectId,
      origin: 'generated',
      files: [{ path: '.orkestr/settings', text: 'from the plan' }],
      revision: { commit: 'c'.repeat(40), committedAt: new Date('2026-01-02T03:04:05Z') },
      ...options,
      limits: { diskMiB: 1024, ...options.limits },
    });
  }

  sandboxPid(): number {
    return Number(readFileSync(join(this.builder.files.runDirectory, 'a', 'dockerd.pid'), 'utf8'));
  }

  readGroup(): Promise<CgroupReading> {
    return makeBuildCgroup(`${buildGroup(this.builder.scope).path}/a`).read();
  }

  /** No process of a RUN is left, whatever else runs here. A killed process counts until its parent reaps it. */
  async assertNothingRuns(): Promise<void> {
    await until(async () => (await this.readGroup()).processes === 0, 'no process of a RUN is left');
  }
}

/** The error of work that must fail. */
export async function failure(work: Promise<unknown>): Promise<OrkestrError> {
  const error = await work.then(
    () => null,
    (reason: OrkestrError) => reason,
  );
  assert.ok(error, 'it should have failed');
  return error;
}
