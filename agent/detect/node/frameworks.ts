/** Frameworks of Node.js; the first that fits wins, so what is made with another one comes before it. */
import type { Framework } from './framework.ts';
import { FULL_STACK, LIBRARIES } from './servers.ts';
import { SITES } from './sites.ts';

export const FRAMEWORKS: readonly Framework[] = [...FULL_STACK, ...SITES, ...LIBRARIES];
