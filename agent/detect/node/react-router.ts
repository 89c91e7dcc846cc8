/** React Router as a framework: a server, or with `ssr: false` files alone. */
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
  // Without its own server it is built for that of somebody else, or of a platform.
  unfit: (manifest, config) =>
    isSinglePage(config) || lists(manifest, '@react-router/serve')
      ? null
      : 'React Router runs here with @react-router/serve, and package.json does not list it. Run `npm install @react-router/serve` and take plugins and presets of other platforms out of the configuration; for a site without a server say `ssr: false` in react-router.config; or say startCommand in orkestr.json.',
  output: (_manifest, config) =>
    isSinglePage(config)
      ? {
          folder: `${buildFolder(config)}/client`,
          singlePage: true,
          // Its own page for other paths, where index.html is one that was rendered.
          fallback: '__spa-fallback.html',
          partlyHashed: 'assets',
        }
      : null,
  start: (_manifest, config) => `react-router-serve ./${buildFolder(config)}/server/index.js`,
  // Without a server there is nothing that its template's start script could serve.
  development: (config) => (isSinglePage(config) ? /\breact-router(?: dev|-serve)\b/ : /\breact-router dev\b/),
};
