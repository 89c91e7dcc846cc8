/** Node.js frameworks whose build can be only files. */
import { ANGULAR } from './angular.ts';
import { named, withExtensions } from './framework.ts';
import type { ConfigFile, Framework } from './framework.ts';
import type { PackageJson } from './package-json.ts';
import { configPath, pathOfAddress } from './served-at.ts';
import { joinPath } from '../repository.ts';
import { VITE_CONFIG, VITE_DEVELOPMENT, viteOutput, viteServedAt } from './vite.ts';

/** The folder for `vitepress build`, from the script or from the configuration's location. */
function pressFolder({ scripts }: PackageJson, { path }: ConfigFile): string {
  const script = PRESS_SCRIPTS.map((name) => scripts[name]).find((line) => line !== undefined);
  const said = /\bvitepress build(?: +(?:\.\/)?([A-Za-z0-9_][\w./-]*))?/.exec(script ?? '');
  return said === null ? folderOfConfig(path) : (said[1]?.replace(/\/$/, '') ?? '.');
}

const PRESS_SCRIPTS = ['build', 'docs:build'];
const PRESS_FOLDERS = ['.', 'docs'];

/** `docs/.vitepress/config.mts` → `docs`. */
const folderOfConfig = (path: string): string => /^(.+)\/\.vitepress\//.exec(path)?.[1] ?? '.';

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
    config: withExtensions('docusaurus.config'),
    servedAt: (_manifest, config) => configPath(config, 'baseUrl'),
    output: () => ({ folder: 'build', singlePage: false, partlyHashed: 'assets' }),
    development: /\bdocusaurus (?:start|serve)\b/,
  },
  {
    name: 'VitePress',
    packages: ['vitepress'],
    publicPrefixes: ['VITE_'],
    build: ({ path }) =>
      `vitepress build${path === '' || folderOfConfig(path) === '.' ? '' : ` ${folderOfConfig(path)}`}`,
    buildScripts: ['docs:build'],
    config: PRESS_FOLDERS.flatMap((folder) => withExtensions(joinPath(folder, '.vitepress/config'))),
    output: (manifest, config) => ({
      folder: joinPath(pressFolder(manifest, config), named(config, 'outDir') ?? '.vitepress/dist'),
      singlePage: false,
      partlyHashed: 'assets',
    }),
    // Sidebar groups, in themeConfig, have a base too.
    servedAt: (_manifest, { path, text }) => configPath({ path, text: text.split('themeConfig', 1)[0] ?? '' }, 'base'),
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
  ANGULAR,
  {
    name: 'Create React App',
    packages: ['react-scripts'],
    publicPrefixes: ['REACT_APP_'],
    bundler: true,
    build: 'react-scripts build',
    output: () => ({ folder: 'build', singlePage: true, partlyHashed: 'static' }),
    servedAt: ({ homepage }) => pathOfAddress(homepage),
    development: /\b(?:react-scripts|craco|react-app-rewired|rescripts) start\b/,
  },
  {
    name: 'Vue CLI',
    packages: ['@vue/cli-service'],
    publicPrefixes: ['VUE_APP_'],
    bundler: true,
    build: 'vue-cli-service build',
    config: withExtensions('vue.config'),
    output: (_manifest, config) => ({ folder: named(config, 'outputDir') ?? 'dist', singlePage: true }),
    servedAt: (_manifest, config) => configPath(config, 'publicPath'),
    development: /\bvue-cli-service serve\b/,
  },
  {
    name: 'Solid',
    packages: ['vite-plugin-solid'],
    publicPrefixes: ['VITE_'],
    bundler: true,
    build: 'vite build',
    config: VITE_CONFIG,
    output: viteOutput,
    servedAt: viteServedAt,
    development: VITE_DEVELOPMENT,
  },
  {
    name: 'Vite',
    packages: ['vite'],
    publicPrefixes: ['VITE_'],
    bundler: true,
    build: 'vite build',
    config: VITE_CONFIG,
    output: viteOutput,
    servedAt: viteServedAt,
    development: VITE_DEVELOPMENT,
  },
];
