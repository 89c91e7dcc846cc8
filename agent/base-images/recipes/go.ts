import type { BaseRecipe } from '../recipe.ts';

/** Go of Debian, without a C compiler: hence CGO off. */
export const go: BaseRecipe = {
  kind: 'go',
  from: 'debian',
  packages: ['golang-go'],
  env: {
    GOPATH: '/go',
    CGO_ENABLED: '0',
    PATH: '/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  },
  openFolders: ['/go', '/go/bin', '/go/src', '/go/pkg'],
  command: ['bash'],
};
