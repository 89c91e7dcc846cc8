// @ts-check
/** What libraries bring for what nobody here turns on: threads for pino's transports, redirects that http-proxy would follow. */
const UNUSED = /^(?:thread-stream|follow-redirects)$/;

/**
 * How rolldown makes the program that runs on hosts (docs/adr/0014): CommonJS, since an ES module that imports node:http
 * evaluates all of its exports and undici with them; minified, since the text of a program stays in memory; and
 * ASCII, since one character beyond that makes each of the text's two bytes wide there.
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
  // A schema that nobody uses is left out; making one does nothing else.
  treeshake: { manualPureFunctions: ['z'] },
  output: {
    format: 'cjs',
    charset: 'ascii',
    // Licences are in a file of the release, by names that are not ASCII.
    comments: { legal: false },
    // Logs and stack traces name classes and functions.
    minify: { mangle: { keepNames: true }, compress: { keepNames: { function: true, class: true } } },
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
  },
};
