/**
 * The last stage of everything that is only files: an unprivileged nginx with a configuration of its own. SIGQUIT is its word
 * for: finish what you have, then end.
 */
import type { Generated } from '../detector.ts';
import { USER } from './common.ts';

/** Unprivileged, so above 1023. nginx reads no environment: the port is written into its configuration. */
export const STATIC_PORT = 8080;

const ROOT = '/srv/www';

export interface StaticRequest {
  readonly base: string;
  readonly port: number;
  /** A folder of the build context, or of an earlier stage (then absolute). */
  readonly source: { readonly stage: string | null; readonly folder: string };
  /** True when the app routes in the browser: unknown paths get index.html. */
  readonly singlePage: boolean;
  /** Folder of files with a hash in their names, which may be cached for ever: `assets`. */
  readonly hashed?: string;
}

/** The stage and the files it needs. */
export function writeStatic({ base, port, source, singlePage, hashed }: StaticRequest): Generated {
  const from = source.stage === null ? '' : ` --from=${source.stage}`;
  const folder = source.folder.endsWith('/') ? source.folder : `${source.folder}/`;
  return {
    text: `FROM ${base}
COPY .orkestr/nginx.conf /etc/orkestr/nginx.conf
COPY${from} --chown=${USER} ${folder} ${ROOT}/
USER ${USER}
STOPSIGNAL SIGQUIT
ENTRYPOINT []
CMD ["nginx","-e","stderr","-c","/etc/orkestr/nginx.conf"]
`,
    files: [{ path: '.orkestr/nginx.conf', text: nginxConf(port, singlePage, hashed) }],
  };
}

/** Writes only below /tmp, so that it runs unprivileged and on a read-only root. */
function nginxConf(port: number, singlePage: boolean, hashed: string | undefined): string {
  const forever =
    hashed === undefined
      ? ''
      : `
    # Their names change with their content.
    location /${hashed}/ {
      add_header Cache-Control "public, max-age=31536000, immutable";
    }
`;
  return `# Written by orkestr.
daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events {
  worker_connections 1024;
}
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  gzip on;
  # Files that the build compressed itself: app.js.gz beside app.js.
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types text/css text/plain text/javascript application/javascript application/json application/manifest+json application/xml image/svg+xml application/wasm;
  server {
    listen ${port};
    root ${ROOT};
    index index.html;
    absolute_redirect off;${singlePage ? '' : '\n    error_page 404 /404.html;'}
    # Files that begin with a dot are never part of a site, except those of RFC 8615.
    location ~ /\\.(?!well-known/) {
      return 404;
    }
${forever}
    # Anything else is asked for anew, and answered 304 when nothing changed.
    location / {
      add_header Cache-Control "no-cache";
      try_files $uri $uri/ ${singlePage ? '/index.html' : '$uri.html =404'};
    }
  }
}
`;
}
