// @ts-check
/** Dependencies of features that we do not use: threads for pino's transports, redirects for http-proxy to follow. */
const UNUSED = /^(?:thread-stream|follow-redirects)$/;

/**
 * How rolldown bundles the program for hosts (docs/adr/0014). CommonJS, because an ES module that imports node:http
 * evaluates all of its exports, and undici with them. Minified, because a program's text stays in memory. ASCII,
 * because a single other character makes the whole text take two bytes per character.
 */
export default {
  input: { main: 'proxy/main.ts', worker: 'proxy/workers/worker.ts' },
  platform: 'node',
  plugins: [
    {
      name: 'unused',
      resolveId: (/** @type {string} */ id) => (UNUSED.test(id) ? `\0${id}` : null),
      load: (/** @type {string} */ id) => (UNUSED.test(id.slice(1)) ? 'module.exports = {};' : null),
    },
  ],
  // Drops unused schemas; creating one has no other effect.
  treeshake: { manualPureFunctions: ['z'] },
  output: {
    format: 'cjs',
    charset: 'ascii',
    // The licences are in a file of the release, by names that are not ASCII.
    comments: { legal: false },
    // Logs and stack traces name classes and functions.
    minify: { mangle: { keepNames: true }, compress: { keepNames: { function: true, class: true } } },
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
  },
};
