/**
 * The last stage of everything that is only files: an unprivileged nginx with a configuration of its own. SIGQUIT is its word
 * for: finish what you have, then end.
 */
import type { Generated } from '../detector.ts';
import type { StaticOutput } from '../node/framework.ts';
import { USER } from './common.ts';

/** Unprivileged, so above 1023. nginx reads no environment: the port is written into its configuration. */
export const STATIC_PORT = 8080;

const ROOT = '/srv/www';

export interface StaticRequest extends Omit<StaticOutput, 'folder'> {
  readonly base: string;
  readonly port: number;
  /** A folder of the build context, or of an earlier stage (then absolute). */
  readonly source: { readonly stage: string | null; readonly folder: string };
}

/** The stage and the files it needs. */
export function writeStatic(request: StaticRequest): Generated {
  const { base, source } = request;
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
    files: [{ path: '.orkestr/nginx.conf', text: nginxConf(request) }],
  };
}

/**
 * The end of a name with a hash in it, as bundlers write it: eight characters of base64url (`index-BfX3a9_k.js`), or hexadecimal
 * digits (`main.1a2b3c4d.js`). A word or a date is none; a hash that looks like one is asked for anew.
 */
const HASHED_NAME =
  '(?:.*[-./])?(?:(?=[\\w-]+[A-Z])(?=[\\w-]*[a-z])[\\w-]{8}|(?=[a-f]*\\d)(?=\\d*[a-f])[0-9a-f]{8,32})(?:\\.[a-z0-9]+)+$';

/** Writes only below /tmp, so that it runs unprivileged and on a read-only root. */
function nginxConf({ port, singlePage, fallback, hashed, partlyHashed }: StaticRequest): string {
  // Whether the build makes its fallback is its own affair, so index.html stands behind it.
  const pages = [...(fallback === undefined ? [] : [`/${fallback}`]), '/index.html'];
  const unknown = singlePage ? pages.join(' ') : '=404';
  const forever = [
    ...(hashed === undefined ? [] : [`/${hashed}/`]),
    ...(partlyHashed === undefined ? [] : [`~ "^/${partlyHashed.replaceAll('.', '\\.')}/${HASHED_NAME}"`]),
  ].map(
    (which) => `
    # Their names change with their content.
    location ${which} {
      add_header Cache-Control "public, max-age=31536000, immutable";
    }
`,
  );
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
${forever.join('')}
    # Anything else is asked for anew, and answered 304 when nothing changed.
    add_header Cache-Control "no-cache";
    # The page blog.html goes before a folder blog, in which its articles may be.
    location = / {
      try_files /index.html ${unknown};
    }
    location / {
      try_files $uri $uri.html $uri/ ${unknown};
    }
    location ~ "^(?<folder>/.+)/$" {
      try_files $folder/index.html $folder.html ${unknown};
    }
  }
}
`;
}
