/**
 * A build whose session the engine lost: it drops one whose health check is not answered in ten seconds (moby/buildkit
 * session/grpc.go), as on a host that is overloaded for a moment. What the build has finished is cached by then.
 */
import type { BuildSession } from './session.ts';

/** Sessions for one build, at most. */
const SESSIONS = 3;

/** What the engine answered to a build. */
interface Answer {
  /** Its error message; null if the build succeeded. */
  readonly error: string | null;
}

/**
 * Builds over a session, and over another one if the engine lost it. Each is closed at its end.
 * @param build asks the engine for the build
 * @param onLost called before the engine is asked again
 * @returns its last answer
 */
export async function overSession<T extends Answer>(
  open: () => Promise<BuildSession>,
  build: (session: BuildSession) => Promise<T>,
  onLost: () => void,
): Promise<T> {
  for (let left = SESSIONS - 1; ; left -= 1) {
    const session = await open();
    try {
      const answer = await build(session);
      if (left === 0 || answer.error === null || !isLost(answer.error)) return answer;
    } finally {
      session.close();
    }
    onLost();
  }
}

/** Whether an error of the engine means that it had no session any more. */
export const isLost = (error: string): boolean => /\bno active session for \S+: context deadline exceeded$/.test(error);
