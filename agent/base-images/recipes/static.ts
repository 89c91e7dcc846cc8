import type { BaseRecipe } from '../recipe.ts';

/** Debian's nginx, able to run as any user; the app's Dockerfile adds the configuration. */
export const staticSite: BaseRecipe = {
  kind: 'static',
  from: 'debian',
  packages: ['nginx-light'],
  remove: ['/etc/nginx/sites-enabled/default', '/var/log/nginx', '/var/www/html', '/var/lib/nginx'],
  openFolders: [
    '/var/log/nginx',
    '/var/lib/nginx',
    '/var/lib/nginx/body',
    '/var/lib/nginx/proxy',
    '/var/lib/nginx/fastcgi',
    '/var/lib/nginx/uwsgi',
    '/var/lib/nginx/scgi',
  ],
  links: { '/var/log/nginx/access.log': '/dev/stdout', '/var/log/nginx/error.log': '/dev/stderr' },
  env: {},
  command: ['nginx', '-g', 'daemon off;'],
};
