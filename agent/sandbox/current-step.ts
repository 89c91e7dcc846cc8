/** The step that a build is at, for the sentence of a build that had to be ended. */
import type { BuildStatus } from './build-status.ts';

interface CurrentStep {
  take(status: Pick<BuildStatus, 'vertexes'>): void;
  /** "RUN npm ci": the last one that began and has not ended, else the first that failed; null between two. */
  command(): string | null;
}

export function makeCurrentStep(): CurrentStep {
  const running = new Map<string, string>();
  // A limit is often found just after it has ended its command. Steps beside that one fail after it, as they are cancelled.
  let failed: string | undefined;
  return {
    take({ vertexes }) {
      for (const { digest, name, started, seconds, error } of vertexes) {
        if (started && seconds === null && error === '') running.set(digest, name);
        else running.delete(digest);
        if (error !== '' && isOfDockerfile(name)) failed ??= name;
      }
    },
    command() {
      const name = [...running.values()].findLast(isOfDockerfile) ?? failed;
      return name?.replace(/^\[[^\]]*\]\s*/, '').slice(0, 500) ?? null;
    },
  };
}

/** `[build 2/3] RUN npm ci`, and not `[internal] load build context` or `exporting to image`. */
const isOfDockerfile = (name: string): boolean => /^\[(?!internal)/.test(name);
