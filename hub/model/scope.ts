/** Permissions of a token, and of a user who logs in with it. */
import { z } from 'zod';

export const Scope = z.enum(['read', 'deploy', 'write', 'admin', 'git']);
export type Scope = z.infer<typeof Scope>;
