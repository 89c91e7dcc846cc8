/** Entry point of a worker process. Imports everything else only after it has enabled the compile cache. */
import { useCompileCache } from '../compile-cache.ts';

useCompileCache();
void import('./work.ts');
