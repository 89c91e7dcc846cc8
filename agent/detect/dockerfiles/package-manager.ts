/**
 * Lines that install a Node.js package manager. Uses npm, which every image has: since Node.js 25, none has corepack.
 */
import type { ManagerSetup } from '../node/package-manager.ts';

const INSTALL = 'npm install --global --no-fund --no-audit';

export function installManager({ package: name, version, hash }: ManagerSetup): string[] {
  const spec = `${name}@${version}`;
  // Official images before Node.js 26 include a yarn, which npm overwrites only with --force.
  const install = name === 'yarn' || name === YARN_2 ? `${INSTALL} --force` : INSTALL;
  if (hash === null) return [`RUN ${install} ${spec}`];
  const check = (path: string): string => `echo "${hash.hex}  ${path}" | ${hash.algorithm}sum -c`;
  // For this package, corepack's hash is that of a single file.
  if (name === YARN_2)
    return [`RUN ${install} ${spec} && ${check(`/usr/local/lib/node_modules/${YARN_2}/bin/yarn.js`)}`];
  const archive = `/tmp/${name}-${version}.tgz`;
  return [
    `RUN npm pack --silent --pack-destination=/tmp ${spec} && ${check(archive)} && ${install} ${archive} && rm ${archive}`,
  ];
}

const YARN_2 = '@yarnpkg/cli-dist';

/**
 * For commands that call corepack, in images without it. Installed aside from npm's global programs, since it brings a
 * pnpm and a yarn, which are already there.
 */
export const INSTALL_COREPACK = [
  'RUN command -v corepack || {',
  'npm install --prefix=/opt/corepack --no-fund --no-audit corepack@0 &&',
  'ln -s /opt/corepack/node_modules/corepack/dist/corepack.js /usr/local/bin/corepack; }',
].join(' ');
