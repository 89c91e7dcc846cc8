/** Builds the console into dist/, as plain files that the hub serves under a strict Content-Security-Policy. */
import { defineConfig } from 'vite';
import { ERRORS } from '../../protocol/error-catalogue.ts';

/** What to do about each error code. Taken over when building, so that the console need not carry the schema library. */
const mends = Object.fromEntries(Object.entries(ERRORS).map(([code, { mend }]) => [code, mend]));

export default defineConfig({
  define: { __MENDS__: JSON.stringify(mends) },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2023',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0, // `data:` URLs are not allowed by the policy
    modulePreload: { polyfill: false },
  },
});
