/** The same with a plain script: git clone, docker build, docker run, and curl until the new version answers. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, runProgram } from '../../../installer/stack/run-program.ts';
import type { TestProject } from '../../harness/project.ts';
import { PORT } from './app.ts';
import { type Deployed, LOOK_MS } from './ours.ts';

const LIMIT_MS = 180_000;
/** Debian's, which packages.json requires: it includes BuildKit, which another one on the PATH may lack. */
const DOCKER = '/usr/bin/docker';

export interface PlainScript {
  deploy(version: string): Promise<Deployed>;
  /** Removes its container, image and files. */
  clear(): Promise<void>;
}

/**
 * @param name for its container and image; must not be in use
 * @param folder for its clones
 */
export function makePlainScript(project: TestProject, name: string, folder: string): PlainScript {
  const checkout = join(folder, name);
  const gitEnv = { ...process.env, ...project.tree.environment() };

  /** Removes the image too: a new build would leave it untagged. Its layers stay in the build cache. */
  const removeLast = async (): Promise<void> => {
    await runProgram([DOCKER, 'rm', '--force', name]);
    await runProgram([DOCKER, 'rmi', '--force', name]);
    rmSync(checkout, { recursive: true, force: true });
  };

  const isAnswering = async (address: string, version: string): Promise<boolean> => {
    const { stdout } = await runProgram(['curl', '--silent', '--max-time', '2', `http://${address}:${PORT}/`]);
    return stdout.includes(version);
  };

  return {
    async deploy(version) {
      await removeLast();
      const steps: Record<string, number> = {};
      const began = performance.now();
      const step = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
        const from = performance.now();
        const result = await work();
        steps[what] = Math.round(performance.now() - from);
        return result;
      };
      const { remoteUrl, branch } = project;
      const clone = ['git', 'clone', '--quiet', '--depth=1', '--branch', branch, '--', remoteUrl, checkout] as const;
      await step('clone', () => mustRun('git clone', [...clone], { env: gitEnv }));
      const buildEnv = { ...process.env, DOCKER_BUILDKIT: '1' };
      await step('build', () =>
        mustRun('docker build', [DOCKER, 'build', '--quiet', `--tag=${name}`, checkout], { env: buildEnv }),
      );
      await step('run', () => mustRun('docker run', [DOCKER, 'run', '--detach', `--name=${name}`, name]));
      const format = '--format={{.NetworkSettings.Networks.bridge.IPAddress}}';
      const address = (await mustRun('docker inspect', [DOCKER, 'inspect', format, name])).trim();
      await step('answer', async () => {
        for (const until = performance.now() + LIMIT_MS; performance.now() < until; await sleep(LOOK_MS)) {
          if (await isAnswering(address, version)) return;
        }
        throw new Error(`${version} did not answer within ${LIMIT_MS} ms`);
      });
      return { ms: performance.now() - began, steps };
    },
    clear: removeLast,
  };
}
