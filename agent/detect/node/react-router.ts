/** React Router as a framework: a server, or only files with `ssr: false`. */
import { named, withExtensions } from './framework.ts';
import type { ConfigFile, Framework } from './framework.ts';
import { lists } from './package-json.ts';

const isSinglePage = ({ text }: ConfigFile): boolean => /\bssr\s*:\s*false\b/.test(text);
const buildFolder = (config: ConfigFile): string => named(config, 'buildDirectory') ?? 'build';

export const REACT_ROUTER: Framework = {
  name: 'React Router',
  packages: ['@react-router/serve', '@react-router/dev'],
  publicPrefixes: ['VITE_'],
  port: 3000,
  build: 'react-router build',
  config: withExtensions('react-router.config'),
  // Without its own server package it is built for a custom server or a platform.
  unfit: (manifest, config) =>
    isSinglePage(config) || lists(manifest, '@react-router/serve')
      ? null
      : 'React Router needs @react-router/serve to run here, but package.json does not list it. Run `npm install @react-router/serve` and remove plugins and presets of other platforms from the configuration. For a site without a server, set `ssr: false` in react-router.config instead. For another server, set startCommand in orkestr.json.',
  output: (_manifest, config) =>
    isSinglePage(config)
      ? {
          folder: `${buildFolder(config)}/client`,
          singlePage: true,
          // The page for other paths, since index.html is prerendered.
          fallback: '__spa-fallback.html',
          partlyHashed: 'assets',
        }
      : null,
  start: (_manifest, config) => `react-router-serve ./${buildFolder(config)}/server/index.js`,
  // Without a server, the template's start script has nothing to serve.
  development: (config) => (isSinglePage(config) ? /\breact-router(?: dev|-serve)\b/ : /\breact-router dev\b/),
};
