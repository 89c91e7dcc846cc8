import { toErrorReport } from '../../../protocol/errors.ts';
import type { Logger } from '../../../protocol/service/logger.ts';

/** Only logs a failure: a full disk must not keep certificates from being used. @param what names it in the log */
export async function tryWrite(log: Logger, what: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    log.error({ what, error: toErrorReport(error).message }, 'ACME state could not be written');
  }
}
