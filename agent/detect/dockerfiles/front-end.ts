/** Lines that install the packages of a front end, in a layer of their own. */
import type { FrontEnd } from '../front-end.ts';
import { aptInstall, cacheMount } from './common.ts';
import { installManager } from './package-manager.ts';

/** Node.js from a stage `node`, for builds of another language that call it or that it calls; with the library that it needs since 25. */
export const COPY_NODE = [...aptInstall(['libatomic1']), 'COPY --from=node /usr/local /usr/local'];

/** @param folder of its manifests in the build context */
export function installFrontEnd({ manifests, install, setup }: FrontEnd, cacheScope: string, folder = '.'): string[] {
  const from = folder === '.' ? manifests : manifests.map((path) => `${folder}/${path}`);
  return [
    ...(setup === null ? [] : installManager(setup)),
    `COPY ${from.join(' ')} ./`,
    `RUN ${cacheMount(cacheScope, 'npm', '/root/.npm')} ${install}`,
  ];
}
