/** The step that a build is executing, for the error message of an aborted build. */
import type { BuildStatus } from './build-status.ts';

interface CurrentStep {
  take(status: Pick<BuildStatus, 'vertexes'>): void;
  /** "RUN npm ci": the running step that started last; null between steps. */
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
