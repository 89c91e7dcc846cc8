/** Lines that install a front end's packages, in a separate layer. */
import type { FrontEnd } from '../front-end.ts';
import { joinPath } from '../repository.ts';
import { aptInstall, cacheMount } from './common.ts';
import { installManager } from './package-manager.ts';

/** Node.js from stage `node`, for builds that mix languages; with the library that it requires since 25. */
export const COPY_NODE = [...aptInstall(['libatomic1']), 'COPY --from=node /usr/local /usr/local'];

/** @param folder folder of its manifests in the build context */
export function installFrontEnd({ manifests, install, setup }: FrontEnd, cacheScope: string, folder = '.'): string[] {
  const from = manifests.map((path) => joinPath(folder, path));
  return [
    ...(setup === null ? [] : installManager(setup)),
    `COPY ${from.join(' ')} ./`,
    `RUN ${cacheMount(cacheScope, 'npm', '/root/.npm')} ${install}`,
  ];
}
