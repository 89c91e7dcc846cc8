/**
 * How rolldown makes agent and hub for a release (docs/adr/0021): CommonJS, minified and ASCII for the same reasons as
 * the proxy (proxy/bundle.config.mjs), and in one folder, so that shared code is there once.
 */
import { createRequire } from 'node:module';
import { packagesPlugin } from './packages-plugin.ts';

const { resolve } = createRequire(import.meta.url);

/**
 * Modules left out, and why nothing needs them: orkestr reaches engines by unix sockets only, never by SSH; and it
 * opens BuildKit's sessions and reads its progress itself (agent/sandbox), not through dockerode, which needs gRPC for
 * that.
 */
const ABSENT = [
  { id: 'ssh2', by: 'docker-modem' },
  { id: './session', by: 'dockerode' },
  { id: './buildkit', by: 'dockerode' },
];
const ABSENT_MARK = '\0absent:';

export default {
  // The program of an analysis is beside the agent that starts it.
  input: { agent: 'agent/main.ts', 'analysis-process': 'agent/detect/analysis-process.ts', hub: 'hub/main.ts' },
  platform: 'node',
  transform: { define: { 'import.meta.main': 'true' } },
  treeshake: { manualPureFunctions: ['z'] },
  plugins: [
    packagesPlugin(process.cwd()),
    {
      name: 'orkestr-release',
      resolveId(id: string, importer = '') {
        if (ABSENT.some((absent) => absent.id === id && importer.includes(`/node_modules/${absent.by}/`))) {
          return `${ABSENT_MARK}${id}`;
        }
        // The package looks for its addon by platform; in a release it is beside the bundle, with one name for all.
        if (id === 'better-sqlite3') return resolve('better-sqlite3/linux-x64');
        return id.endsWith('.node') ? { id: './better_sqlite3.node', external: true } : null;
      },
      load(id: string) {
        if (!id.startsWith(ABSENT_MARK)) return null;
        const name = id.slice(ABSENT_MARK.length);
        return `module.exports = new Proxy(function () {}, { apply() { throw new Error('${name} is not part of a release.'); } });`;
      },
    },
  ],
  output: {
    format: 'cjs',
    charset: 'ascii',
    // A file of the release has the licences; names in them are not ASCII.
    comments: { legal: false },
    minify: { mangle: { keepNames: true }, compress: { keepNames: { function: true, class: true } } },
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
  },
};
