/** Frameworks of Node.js as data: how each is known, and what its build leaves behind. The first that fits wins. */
import type { PackageJson } from './package-json.ts';
import { lists } from './package-json.ts';

/** What the build leaves when it is only files. */
export interface StaticOutput {
  readonly folder: string;
  /** Unknown paths get index.html: the app routes in the browser. */
  readonly singlePage: boolean;
  /** Folder of files whose names change with their content. */
  readonly hashed?: string;
}

export interface Framework {
  readonly name: string;
  /** One of these packages is listed. */
  readonly packages: readonly string[];
  /** Build command when package.json has no `build` script. */
  readonly build?: string;
  /** The build as files; null when this project's build is a server. Absent: always a server. */
  readonly output?: (manifest: PackageJson, config: string) => StaticOutput | null;
  /** Scripts that may start it, before `start`. */
  readonly startScripts?: readonly string[];
  /** Start command when no script does. */
  readonly start?: string;
  /** Scripts like this are for development and never start it in production. */
  readonly development?: RegExp;
  /** Its configuration files, read for `output`. */
  readonly config?: readonly string[];
  /** Environment variables that make the server reachable. */
  readonly env?: Readonly<Record<string, string>>;
  readonly warning?: (manifest: PackageJson) => string | null;
}

const withExtensions = (name: string): string[] => ['js', 'ts', 'mjs', 'mts', 'cjs'].map((end) => `${name}.${end}`);

/** A folder that a configuration file names as `key: 'folder'`. */
function named(config: string, key: string): string | null {
  const folder = new RegExp(`\\b${key}\\s*:\\s*['"](?:\\./)?([A-Za-z0-9_@][A-Za-z0-9._/@-]*?)/?['"]`).exec(config)?.[1];
  return folder === undefined || folder.split('/').includes('..') ? null : folder;
}

export const FRAMEWORKS: readonly Framework[] = [
  {
    name: 'Next.js',
    packages: ['next'],
    build: 'next build',
    config: withExtensions('next.config'),
    output: (_manifest, config) =>
      /\boutput\s*:\s*['"]export['"]/.test(config)
        ? { folder: named(config, 'distDir') ?? 'out', singlePage: false, hashed: '_next/static' }
        : null,
    start: 'next start',
    development: /\bnext(?: dev\b|$)/,
  },
  {
    name: 'Nuxt',
    packages: ['nuxt'],
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
    build: 'react-router build',
    start: 'react-router-serve ./build/server/index.js',
    development: /\breact-router dev\b/,
  },
  {
    name: 'React Router',
    packages: ['@react-router/dev'],
    build: 'react-router build',
    output: () => ({ folder: 'build/client', singlePage: true, hashed: 'assets' }),
    development: /\breact-router dev\b/,
  },
  {
    name: 'Remix',
    packages: ['@remix-run/serve', '@remix-run/node'],
    build: 'remix vite:build',
    start: 'remix-serve ./build/server/index.js',
    development: /\bremix (?:dev|vite:dev)\b/,
  },
  {
    name: 'Astro',
    packages: ['astro'],
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
    name: 'NestJS',
    packages: ['@nestjs/core'],
    build: 'nest build',
    startScripts: ['start:prod'],
    start: 'node dist/main',
    development: /\bnest start\b/,
  },
  {
    name: 'Create React App',
    packages: ['react-scripts'],
    build: 'react-scripts build',
    output: () => ({ folder: 'build', singlePage: true, hashed: 'static' }),
    development: /\breact-scripts start\b/,
  },
  {
    name: 'Vite',
    packages: ['vite'],
    build: 'vite build',
    config: withExtensions('vite.config'),
    output: (_manifest, config) => ({
      folder: named(config, 'outDir') ?? 'dist',
      singlePage: true,
      hashed: named(config, 'assetsDir') ?? 'assets',
    }),
    development: /\bvite(?: (?:dev|serve|preview)\b|$| -)/,
  },
  { name: 'Express', packages: ['express'] },
  { name: 'Fastify', packages: ['fastify'] },
  { name: 'Hono', packages: ['hono'] },
  { name: 'Koa', packages: ['koa'] },
  { name: 'hapi', packages: ['@hapi/hapi'] },
];
