/** What a token, and whoever logs in with it, may do. */
import { z } from 'zod';

export const Scope = z.enum(['read', 'deploy', 'write', 'admin', 'git']);
export type Scope = z.infer<typeof Scope>;
