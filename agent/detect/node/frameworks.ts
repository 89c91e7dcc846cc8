/** Node.js frameworks. The first match wins, so a framework precedes those that it builds on. */
import type { Framework } from './framework.ts';
import { FULL_STACK, LIBRARIES } from './servers.ts';
import { SITES } from './sites.ts';

export const FRAMEWORKS: readonly Framework[] = [...FULL_STACK, ...SITES, ...LIBRARIES];
