import { CA_BUNDLE, type BaseRecipe, type NpmPackage } from '../recipe.ts';

/** A line of Node.js: its newest release, with the integrity of the npm package per architecture. */
interface Line {
  readonly line: string;
  readonly release: string;
  readonly x64: string;
  readonly arm64: string;
  /** Whether the official images of the line include corepack and yarn: those before 26. */
  readonly managers: boolean;
}

/** Lines with security support, the current LTS first. */
const LINES: readonly Line[] = [
  {
    line: '26',
    release: '26.12.1',
    x64: 'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
    arm64: 'sha512-8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ==',
    managers: false,
  },
  {
    line: '24',
    release: '24.21.0',
    x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    managers: true,
  },
  {
    line: '22',
    release: '22.23.3',
    x64: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
    arm64: 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    managers: true,
  },
];

const NPM: NpmPackage = {
  name: 'npm',
  version: '11.19.1',
  integrity: 'sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==',
};
const COREPACK: NpmPackage = {
  name: 'corepack',
  version: '0.34.6',
  integrity: 'sha512-gvylq9kzJB09mSsiOnKOnhg0YdCWNy2aGaeGbYF4HlyGd/v4moxEonQjJPYI45/K4zP7q1hW9qCVvaYYKK5nkA==',
};
/** Outside npm's folders, as in the official images, so that npm does not manage it. */
const YARN_FOLDER = '/opt/yarn-v1.22.22';
const YARN: NpmPackage = {
  name: 'yarn',
  version: '1.22.22',
  integrity: 'sha512-prL3kGtyG7o9Z9Sv8IPfBNrWTDmXB4Qbes8A9rEzt6wkJV8mUvoirjU0Mp3GGAU06Y0XQyA3/2/RQFVuK7MTfg==',
  into: YARN_FOLDER,
};

/** The program and its licence, without headers. */
const nodePackage = ({ release, ...line }: Line, cpu: 'x64' | 'arm64'): NpmPackage => ({
  name: `node-linux-${cpu}`,
  version: release,
  integrity: line[cpu],
  cpu,
  only: ['bin/node', 'LICENSE'],
  into: '/usr/local',
});

/** Each line with npm. */
export const node: readonly BaseRecipe[] = LINES.map((line) => ({
  kind: 'node',
  version: line.line,
  from: 'debian',
  packages: ['libstdc++6', 'libatomic1'],
  npmPackages: [nodePackage(line, 'x64'), nodePackage(line, 'arm64'), NPM, ...(line.managers ? [COREPACK, YARN] : [])],
  files: {
    '/usr/local/etc/npmrc': [`cafile=${CA_BUNDLE}`, 'update-notifier=false', 'fund=false', ''].join('\n'),
  },
  links: {
    '/usr/local/bin/nodejs': 'node',
    '/usr/local/bin/npm': '../lib/node_modules/npm/bin/npm-cli.js',
    '/usr/local/bin/npx': '../lib/node_modules/npm/bin/npx-cli.js',
    ...(line.managers && {
      '/usr/local/bin/corepack': '../lib/node_modules/corepack/dist/corepack.js',
      '/usr/local/bin/yarn': `${YARN_FOLDER}/bin/yarn`,
      '/usr/local/bin/yarnpkg': `${YARN_FOLDER}/bin/yarnpkg`,
    }),
  },
  env: {},
  command: ['node'],
}));
