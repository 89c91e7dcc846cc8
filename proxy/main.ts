#!/usr/bin/env node
/** Entry point of the proxy process. Imports everything else only after it has enabled the compile cache. */
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
void import('./cli.ts');
