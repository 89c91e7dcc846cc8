/** Frameworks of Node.js whose build can be files alone. */
import { named, shortName, withExtensions } from './framework.ts';
import type { ConfigFile, Framework, StaticOutput } from './framework.ts';
import type { PackageJson } from './package-json.ts';
import { lists } from './package-json.ts';

const viteConfig = withExtensions('vite.config');

const viteOutput = (_manifest: PackageJson, config: ConfigFile): StaticOutput => ({
  folder: named(config, 'outDir') ?? 'dist',
  singlePage: true,
  partlyHashed: named(config, 'assetsDir') ?? 'assets',
});

const viteDevelopment = /\bvite(?: (?:dev|serve|preview)\b|$| -)/;

/** Since version 17 the builder `application` puts the files of the browser into a folder of their own. */
function angularOutput(manifest: PackageJson, config: ConfigFile): string {
  const base = named(config, 'outputPath') ?? named(config, 'base') ?? `dist/${shortName(manifest)}`;
  return /:application"/.test(config.text) ? `${base}/browser` : base;
}

export const SITES: readonly Framework[] = [
  {
    name: 'Gatsby',
    packages: ['gatsby'],
    publicPrefixes: ['GATSBY_'],
    build: 'gatsby build',
    output: () => ({ folder: 'public', singlePage: false, partlyHashed: 'static' }),
    development: /\bgatsby (?:develop|serve)\b/,
  },
  {
    name: 'Docusaurus',
    packages: ['@docusaurus/core'],
    build: 'docusaurus build',
    output: () => ({ folder: 'build', singlePage: false, partlyHashed: 'assets' }),
    development: /\bdocusaurus (?:start|serve)\b/,
  },
  {
    name: 'VitePress',
    packages: ['vitepress'],
    publicPrefixes: ['VITE_'],
    build: 'vitepress build',
    config: [...withExtensions('.vitepress/config'), ...withExtensions('docs/.vitepress/config')],
    output: (_manifest, { path }) => ({
      folder: path.startsWith('docs/') ? 'docs/.vitepress/dist' : '.vitepress/dist',
      singlePage: false,
      partlyHashed: 'assets',
    }),
    development: /\bvitepress (?:dev|serve|preview)\b/,
  },
  {
    name: 'Eleventy',
    packages: ['@11ty/eleventy'],
    build: 'eleventy',
    config: [...withExtensions('eleventy.config'), '.eleventy.js'],
    output: (_manifest, config) => ({ folder: named(config, 'output') ?? '_site', singlePage: false }),
    development: /\beleventy\b/,
  },
  {
    name: 'Angular',
    packages: ['@angular/core'],
    publicPrefixes: ['NG_APP_'],
    port: 4000,
    build: 'ng build',
    config: ['angular.json'],
    output: (manifest, config) =>
      lists(manifest, '@angular/ssr') ? null : { folder: angularOutput(manifest, config), singlePage: true },
    start: (manifest, config) => `node ${angularOutput(manifest, config).replace(/\/browser$/, '')}/server/server.mjs`,
    development: /\bng (?:serve|s)\b|\bng$/,
  },
  {
    name: 'Create React App',
    packages: ['react-scripts'],
    publicPrefixes: ['REACT_APP_'],
    bundler: true,
    build: 'react-scripts build',
    output: () => ({ folder: 'build', singlePage: true, partlyHashed: 'static' }),
    development: /\breact-scripts start\b/,
  },
  {
    name: 'Vue CLI',
    packages: ['@vue/cli-service'],
    publicPrefixes: ['VUE_APP_'],
    bundler: true,
    build: 'vue-cli-service build',
    config: withExtensions('vue.config'),
    output: (_manifest, config) => ({ folder: named(config, 'outputDir') ?? 'dist', singlePage: true }),
    development: /\bvue-cli-service serve\b/,
  },
  {
    name: 'Solid',
    packages: ['vite-plugin-solid'],
    publicPrefixes: ['VITE_'],
    bundler: true,
    build: 'vite build',
    config: viteConfig,
    output: viteOutput,
    development: viteDevelopment,
  },
  {
    name: 'Vite',
    packages: ['vite'],
    publicPrefixes: ['VITE_'],
    bundler: true,
    build: 'vite build',
    config: viteConfig,
    output: viteOutput,
    development: viteDevelopment,
  },
];
