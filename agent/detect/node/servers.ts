/** Node.js frameworks whose build is a server, at least by default; and server libraries. */
import { named, withExtensions } from './framework.ts';
import type { ConfigFile, Framework } from './framework.ts';
import { foreignPreset, isStatic, NITRO_FILES, NITRO_START, nitroDevelopment } from './nitro.ts';
import { lists } from './package-json.ts';
import { configPath } from './served-at.ts';
import { REACT_ROUTER } from './react-router.ts';
import { SVELTEKIT } from './sveltekit.ts';
import { TANSTACK_START } from './tanstack-start.ts';

const isExport = ({ text }: ConfigFile): boolean => /\boutput\s*:\s*['"]export['"]/.test(text);

const ASTRO_ADAPTERS = ['@astrojs/vercel', '@astrojs/netlify', '@astrojs/cloudflare', '@deno/astro-adapter'];

const ADONISJS: Framework = {
  name: 'AdonisJS',
  packages: ['@adonisjs/core'],
  port: 3333,
  build: 'node ace build',
  start: 'node build/bin/server.js',
  // Its start script is meant to run in the build's folder.
  development: /^node (?:\.\/)?bin\/server(?:\.js)?$|\bnode ace serve\b/,
  env: { HOST: '0.0.0.0' },
  needs: [{ anyOf: ['APP_KEY'], hint: '`node ace generate:key --show` makes one.' }],
};

export const FULL_STACK: readonly Framework[] = [
  {
    name: 'Next.js',
    packages: ['next'],
    publicPrefixes: ['NEXT_PUBLIC_'],
    port: 3000,
    build: 'next build',
    config: withExtensions('next.config'),
    output: (_manifest, config) =>
      isExport(config)
        ? { folder: named(config, 'distDir') ?? 'out', singlePage: false, hashed: '_next/static' }
        : null,
    start: 'next start',
    servedAt: (_manifest, config) => configPath(config, 'basePath'),
    // Next.js reads it again at start, and would then try to install the compiler, which the container does not permit.
    needsAtStart: ({ path }) => (/\.m?ts$/.test(path) ? 'typescript' : null),
    // An export has no server, although its template still has `next start`.
    development: (config) => (isExport(config) ? /\bnext(?: (?:dev|start)\b|$)/ : /\bnext(?: dev\b|$)/),
  },
  {
    name: 'Nuxt',
    packages: ['nuxt'],
    publicPrefixes: ['NUXT_PUBLIC_', 'VITE_'],
    port: 3000,
    build: 'nuxt build',
    config: withExtensions('nuxt.config'),
    unfit: foreignPreset,
    output: ({ scripts }, config) =>
      isStatic(config) || /\bnuxt?i? generate\b/.test(scripts['build'] ?? '')
        ? { folder: NITRO_FILES, singlePage: false, hashed: '_nuxt' }
        : null,
    start: NITRO_START,
    development: nitroDevelopment(/\bnux[ti] (?:dev|preview|start)\b|\bnuxt$/),
  },
  SVELTEKIT,
  REACT_ROUTER,
  {
    name: 'Remix',
    packages: ['@remix-run/serve', '@remix-run/node'],
    publicPrefixes: ['VITE_'],
    port: 3000,
    build: 'remix vite:build',
    start: 'remix-serve ./build/server/index.js',
    development: /\bremix (?:dev|vite:dev)\b/,
  },
  {
    name: 'Astro',
    packages: ['astro'],
    publicPrefixes: ['PUBLIC_'],
    port: 4321,
    build: 'astro build',
    config: withExtensions('astro.config'),
    // An adapter of another platform produces a build that only runs there.
    unfit: (manifest, config) => {
      const adapter = ASTRO_ADAPTERS.find((name) => lists(manifest, name) && config.text.includes(name));
      return adapter === undefined
        ? null
        : `${config.path} uses ${adapter}, an adapter for another platform. Run \`npx astro add node\`, or, if all pages are static, remove the adapter.`;
    },
    output: (manifest, config) =>
      lists(manifest, '@astrojs/node')
        ? null
        : { folder: named(config, 'outDir') ?? 'dist', singlePage: false, hashed: '_astro' },
    servedAt: (_manifest, config) => configPath(config, 'base'),
    start: 'node ./dist/server/entry.mjs',
    development: /\bastro (?:dev|preview)\b|\bastro$/,
    env: { HOST: '0.0.0.0' },
  },
  {
    name: 'SolidStart',
    packages: ['@solidjs/start'],
    publicPrefixes: ['VITE_'],
    port: 3000,
    build: 'vinxi build',
    config: withExtensions('app.config'),
    unfit: foreignPreset,
    output: (_manifest, config) =>
      isStatic(config)
        ? { folder: NITRO_FILES, singlePage: /\bssr\s*:\s*false\b/.test(config.text), partlyHashed: '_build/assets' }
        : null,
    start: NITRO_START,
    development: nitroDevelopment(/\bvinxi dev\b/),
  },
  TANSTACK_START,
  {
    name: 'NestJS',
    packages: ['@nestjs/core'],
    port: 3000,
    build: 'nest build',
    startScripts: ['start:prod'],
    start: 'node dist/main',
    development: /\bnest start\b/,
  },
  ADONISJS,
];

export const LIBRARIES: readonly Framework[] = [
  { name: 'Express', packages: ['express'], port: 3000 },
  { name: 'Fastify', packages: ['fastify'], port: 3000 },
  { name: 'Hono', packages: ['hono'], port: 3000 },
  { name: 'Koa', packages: ['koa'], port: 3000 },
  { name: 'hapi', packages: ['@hapi/hapi'], port: 3000 },
];
