import { CA_BUNDLE, type BaseRecipe } from '../recipe.ts';

/** The Node that runs the agent, with npm. */
export const node: BaseRecipe = {
  kind: 'node',
  from: 'debian',
  packages: ['libstdc++6'],
  nodeBinary: '/usr/local/bin/node',
  npmPackages: [
    {
      name: 'npm',
      version: '11.19.1',
      integrity: 'sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==',
    },
  ],
  files: {
    '/usr/local/etc/npmrc': [`cafile=${CA_BUNDLE}`, 'update-notifier=false', 'fund=false', ''].join('\n'),
  },
  links: {
    '/usr/local/bin/nodejs': 'node',
    '/usr/local/bin/npm': '../lib/node_modules/npm/bin/npm-cli.js',
    '/usr/local/bin/npx': '../lib/node_modules/npm/bin/npx-cli.js',
  },
  env: {},
  command: ['node'],
};
