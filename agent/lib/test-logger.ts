/** For tests: a logger without output. */
import type { Logger } from '../../protocol/service/logger.ts';
import { makeLogger } from '../../protocol/service/logger.ts';

export const silent: Logger = makeLogger('agent', 'silent');
