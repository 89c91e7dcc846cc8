/** The step that a build is executing, for the error message of an aborted build. */
import type { BuildStatus } from './build-status.ts';

interface CurrentStep {
  take(status: Pick<BuildStatus, 'vertexes'>): void;
  /** "RUN npm ci": the running step that started last, or else the first that failed; null between steps. */
  command(): string | null;
}

export function makeCurrentStep(): CurrentStep {
  const running = new Map<string, string>();
  // A limit is often detected just after it has ended its command. The steps beside that one fail later, when they are cancelled.
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
