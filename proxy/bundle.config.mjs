// @ts-check
/**
 * How rolldown makes the program that runs on hosts (docs/adr/0014): CommonJS, since an ES module that imports node:http
 * evaluates all of its exports and undici with them; minified, since the text of a program stays in memory; and
 * ASCII, since one character beyond that makes each of the text's two bytes wide there.
 */
export default {
  input: { main: 'proxy/main.ts', worker: 'proxy/workers/worker.ts' },
  platform: 'node',
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
