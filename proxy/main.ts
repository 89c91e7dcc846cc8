#!/usr/bin/env node
/** The proxy process. Everything else is imported once the cache of compiled code is on. */
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
void import('./cli.ts');
