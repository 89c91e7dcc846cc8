/** Runs exchanges between planes periodically. */
import type { Logger } from '../../protocol/service/logger.ts';

/** Runs for as long as the process lives; rounds never overlap. @param everyMs interval between rounds */
export function startRounds(everyMs: number, round: () => Promise<void>, log: Logger): void {
  let isUnderWay = false;
  const begin = async (): Promise<void> => {
    if (isUnderWay) return;
    isUnderWay = true;
    try {
      await round();
    } catch (error) {
      log.error({ err: error }, 'a worker reports counts that make no sense');
    } finally {
      isUnderWay = false;
    }
  };
  setInterval(() => void begin(), everyMs).unref();
}
