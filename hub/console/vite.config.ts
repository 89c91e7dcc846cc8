/** Builds the console into dist/, as plain files that the hub serves under a strict Content-Security-Policy. */
import { defineConfig } from 'vite';
import { ERRORS } from '../../protocol/error-catalogue.ts';

/** How to fix each error code. Inlined at build time, so that the console need not bundle the schema library. */
const mends = Object.fromEntries(Object.entries(ERRORS).map(([code, { mend }]) => [code, mend]));

export default defineConfig({
  define: { __MENDS__: JSON.stringify(mends) },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2023',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy does not allow `data:` URLs
    modulePreload: { polyfill: false },
  },
});
