import { DEBIAN_RELEASE, type BaseRecipe } from '../recipe.ts';

/** Go from Debian's backports, since the release's own gets no security fixes. CGO is off: there is no C compiler. */
export const go: BaseRecipe = {
  kind: 'go',
  from: 'debian',
  suite: `${DEBIAN_RELEASE}-backports`,
  packages: ['golang-go'],
  env: {
    GOPATH: '/go',
    CGO_ENABLED: '0',
    PATH: '/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  },
  openFolders: ['/go', '/go/bin', '/go/src', '/go/pkg'],
  command: ['bash'],
};
