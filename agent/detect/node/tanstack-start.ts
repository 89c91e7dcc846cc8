/** TanStack Start: its build is a server only with Nitro; otherwise it is a function for some other server. */
import { withExtensions } from './framework.ts';
import type { ConfigFile, Framework } from './framework.ts';
import { foreignPreset, NITRO_FILES, NITRO_START, nitroDevelopment } from './nitro.ts';
import { lists } from './package-json.ts';
import type { PackageJson } from './package-json.ts';

/** `vinxi`, in its versions before 1.121. */
const hasServer = (manifest: PackageJson): boolean =>
  lists(manifest, 'nitro', '@tanstack/nitro-v2-vite-plugin', 'vinxi');

const isSinglePage = ({ text }: ConfigFile): boolean => /\bspa\s*:\s*\{\s*enabled\s*:\s*true\b/.test(text);

export const TANSTACK_START: Framework = {
  name: 'TanStack Start',
  packages: ['@tanstack/react-start', '@tanstack/solid-start'],
  publicPrefixes: ['VITE_'],
  port: 3000,
  build: 'vite build',
  config: withExtensions('vite.config'),
  output: (manifest, config) =>
    isSinglePage(config)
      ? {
          folder: hasServer(manifest) ? NITRO_FILES : 'dist/client',
          singlePage: true,
          fallback: '_shell.html',
          partlyHashed: 'assets',
        }
      : null,
  start: NITRO_START,
  development: nitroDevelopment(/\b(?:vite|vinxi)\b/),
  unfit: (manifest, config) => {
    if (isSinglePage(config)) return null;
    return hasServer(manifest)
      ? foreignPreset(manifest, config)
      : 'TanStack Start needs Nitro to run here, but package.json does not list it. Run `npm install -D @tanstack/nitro-v2-vite-plugin` and add nitroV2Plugin() to the plugins in vite.config, or set startCommand in orkestr.json.';
  },
};
