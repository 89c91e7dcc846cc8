/** The step that a build is at, for the sentence of a build that had to be ended. */
import type { BuildStatus } from './build-status.ts';

interface CurrentStep {
  take(status: Pick<BuildStatus, 'vertexes'>): void;
  /** "RUN npm ci": the last one that began and has not ended; null between two. */
  command(): string | null;
}

export function makeCurrentStep(): CurrentStep {
  const running = new Map<string, string>();
  return {
    take({ vertexes }) {
      for (const { digest, name, started, seconds, error } of vertexes) {
        if (started && seconds === null && error === '') running.set(digest, name);
        else running.delete(digest);
      }
    },
    command() {
      const name = [...running.values()].findLast((each) => /^\[(?!internal)/.test(each));
      return name?.replace(/^\[[^\]]*\]\s*/, '').slice(0, 500) ?? null;
    },
  };
}
