/** SvelteKit: the build's output depends on its adapter. */
import { named, withExtensions } from './framework.ts';
import type { ConfigFile, Framework, StaticOutput } from './framework.ts';
import { lists } from './package-json.ts';
import type { PackageJson } from './package-json.ts';

type Adapter = 'node' | 'static' | 'auto';
const ADAPTERS: readonly Adapter[] = ['node', 'static', 'auto'];

const packageOf = (adapter: Adapter): string => `@sveltejs/adapter-${adapter}`;

/** The adapter named in the configuration, else the first one listed; null for those of other platforms. */
function adapterOf(manifest: PackageJson, { text }: ConfigFile): Adapter | null {
  const listed = ADAPTERS.filter((adapter) => lists(manifest, packageOf(adapter)));
  return listed.find((adapter) => text.includes(packageOf(adapter))) ?? listed[0] ?? null;
}

function pagesOf(config: ConfigFile): StaticOutput {
  const fallback = named(config, 'fallback');
  return {
    folder: named(config, 'pages') ?? 'build',
    // An error page is not a page for all paths.
    singlePage: fallback !== null && fallback !== '404.html',
    ...(fallback !== null && fallback !== '404.html' && { fallback }),
    hashed: '_app/immutable',
  };
}

const MEND =
  'Run `npm install -D @sveltejs/adapter-node` and set it as the adapter in svelte.config.js or vite.config.js';

export const SVELTEKIT: Framework = {
  name: 'SvelteKit',
  packages: ['@sveltejs/kit'],
  publicPrefixes: ['PUBLIC_', 'VITE_'],
  port: 3000,
  build: 'vite build',
  config: [...withExtensions('svelte.config'), ...withExtensions('vite.config')],
  output: (manifest, config) => (adapterOf(manifest, config) === 'static' ? pagesOf(config) : null),
  // Among adapter-auto's platforms, this one's is a plain Node.js server: it uses adapter-node there.
  buildEnv: (manifest, config) => (adapterOf(manifest, config) === 'auto' ? { GCP_BUILDPACKS: 'orkestr' } : null),
  start: (_manifest, config) => `node ${named(config, 'out') ?? 'build'}`,
  development: /\bvite\b/,
  // Otherwise the server assumes https for every visitor, and rejects forms sent over http.
  env: { PROTOCOL_HEADER: 'x-forwarded-proto' },
  warning: (manifest, config) =>
    adapterOf(manifest, config) === 'auto'
      ? `@sveltejs/adapter-auto downloads @sveltejs/adapter-node from the registry during the build, and no lockfile pins its version. ${MEND}.`
      : null,
  unfit: (manifest, config) =>
    adapterOf(manifest, config) === null
      ? `SvelteKit needs an adapter for Node.js or for static files to run here, but package.json lists neither. ${MEND}, or set startCommand in orkestr.json.`
      : null,
};
