/**
 * Lines that put a package manager of Node.js into an image. npm does it, which every image has: corepack is in none of
 * Node.js 25 and later.
 */
import type { ManagerSetup } from '../node/package-manager.ts';

const INSTALL = 'npm install --global --no-fund --no-audit';

export function installManager({ package: name, version, hash }: ManagerSetup): string[] {
  const spec = `${name}@${version}`;
  // The official images before Node.js 26 have a yarn of their own in its place, over which npm does not write unasked.
  const install = name === 'yarn' || name === YARN_2 ? `${INSTALL} --force` : INSTALL;
  if (hash === null) return [`RUN ${install} ${spec}`];
  const check = (path: string): string => `echo "${hash.hex}  ${path}" | ${hash.algorithm}sum -c`;
  // corepack defines it as the hash of this one file.
  if (name === YARN_2)
    return [`RUN ${install} ${spec} && ${check(`/usr/local/lib/node_modules/${YARN_2}/bin/yarn.js`)}`];
  const archive = `/tmp/${name}-${version}.tgz`;
  return [
    `RUN npm pack --silent --pack-destination=/tmp ${spec} && ${check(archive)} && ${install} ${archive} && rm ${archive}`,
  ];
}

const YARN_2 = '@yarnpkg/cli-dist';

/**
 * For commands that call corepack by themselves, in images that have none. Not among npm's programs: it brings a pnpm and a
 * yarn too, which are there already.
 */
export const INSTALL_COREPACK = [
  'RUN command -v corepack || {',
  'npm install --prefix=/opt/corepack --no-fund --no-audit corepack@0 &&',
  'ln -s /opt/corepack/node_modules/corepack/dist/corepack.js /usr/local/bin/corepack; }',
].join(' ');
