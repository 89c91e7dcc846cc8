/** Frameworks of Node.js whose build is a server, at least by default; and libraries that serve. */
import { named, withExtensions } from './framework.ts';
import type { Framework } from './framework.ts';
import { lists } from './package-json.ts';

export const FULL_STACK: readonly Framework[] = [
  {
    name: 'Next.js',
    packages: ['next'],
    publicPrefixes: ['NEXT_PUBLIC_'],
    port: 3000,
    build: 'next build',
    config: withExtensions('next.config'),
    output: (_manifest, config) =>
      /\boutput\s*:\s*['"]export['"]/.test(config.text)
        ? { folder: named(config, 'distDir') ?? 'out', singlePage: false, hashed: '_next/static' }
        : null,
    start: 'next start',
    // Next.js reads it again when it starts, and would install the compiler then, which nobody may here.
    needsAtStart: ({ path }) => (/\.m?ts$/.test(path) ? 'typescript' : null),
    development: /\bnext(?: dev\b|$)/,
  },
  {
    name: 'Nuxt',
    packages: ['nuxt'],
    publicPrefixes: ['NUXT_PUBLIC_', 'VITE_'],
    port: 3000,
    build: 'nuxt build',
    output: ({ scripts }) =>
      /\bnuxt?i? generate\b/.test(scripts['build'] ?? '')
        ? { folder: '.output/public', singlePage: false, hashed: '_nuxt' }
        : null,
    start: 'node .output/server/index.mjs',
    development: /\bnuxi? (?:dev|preview|start)\b|\bnuxt$/,
  },
  {
    name: 'SvelteKit',
    packages: ['@sveltejs/kit'],
    publicPrefixes: ['PUBLIC_', 'VITE_'],
    port: 3000,
    build: 'vite build',
    output: (manifest) =>
      lists(manifest, '@sveltejs/adapter-static')
        ? { folder: 'build', singlePage: false, hashed: '_app/immutable' }
        : null,
    start: 'node build',
    development: /\bvite\b/,
    warning: (manifest) =>
      lists(manifest, '@sveltejs/adapter-node', '@sveltejs/adapter-static')
        ? null
        : 'SvelteKit needs @sveltejs/adapter-node (or adapter-static) to run here; package.json lists neither.',
  },
  {
    name: 'React Router',
    packages: ['@react-router/serve'],
    publicPrefixes: ['VITE_'],
    port: 3000,
    build: 'react-router build',
    start: 'react-router-serve ./build/server/index.js',
    development: /\breact-router dev\b/,
  },
  {
    name: 'React Router',
    packages: ['@react-router/dev'],
    publicPrefixes: ['VITE_'],
    build: 'react-router build',
    output: () => ({ folder: 'build/client', singlePage: true, partlyHashed: 'assets' }),
    development: /\breact-router dev\b/,
  },
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
    output: (manifest, config) =>
      lists(manifest, '@astrojs/node')
        ? null
        : { folder: named(config, 'outDir') ?? 'dist', singlePage: false, hashed: '_astro' },
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
    start: 'node .output/server/index.mjs',
    development: /\bvinxi dev\b/,
  },
  {
    name: 'NestJS',
    packages: ['@nestjs/core'],
    port: 3000,
    build: 'nest build',
    startScripts: ['start:prod'],
    start: 'node dist/main',
    development: /\bnest start\b/,
  },
];

export const LIBRARIES: readonly Framework[] = [
  { name: 'Express', packages: ['express'], port: 3000 },
  { name: 'Fastify', packages: ['fastify'], port: 3000 },
  { name: 'Hono', packages: ['hono'], port: 3000 },
  { name: 'Koa', packages: ['koa'], port: 3000 },
  { name: 'hapi', packages: ['@hapi/hapi'], port: 3000 },
];
