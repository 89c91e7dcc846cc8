/** Lines that install the packages of a front end, in a layer of their own. */
import type { FrontEnd } from '../front-end.ts';
import { cacheMount } from './common.ts';
import { installManager } from './package-manager.ts';

export function installFrontEnd({ manifests, install, setup }: FrontEnd, cacheScope: string): string[] {
  return [
    ...(setup === null ? [] : installManager(setup)),
    `COPY ${manifests.join(' ')} ./`,
    `RUN ${cacheMount(cacheScope, 'npm', '/root/.npm')} ${install}`,
  ];
}
