/** What several planes tell each other, again and again. */
import type { Logger } from '../../protocol/service/logger.ts';

/** For as long as the process lives. No round begins before the one before it is over. @param everyMs between two of them */
export function startRounds(everyMs: number, round: () => Promise<void>, log: Logger): void {
  let isUnderWay = false;
  const begin = async (): Promise<void> => {
    if (isUnderWay) return;
    isUnderWay = true;
    try {
      await round();
    } catch (error) {
      log.error({ err: error }, 'a worker tells nonsense of what it counts');
    } finally {
      isUnderWay = false;
    }
  };
  setInterval(() => void begin(), everyMs).unref();
}
