/**
 * Final stage for builds that are only files: an unprivileged nginx with its own configuration. SIGQUIT is nginx's
 * signal for a graceful stop.
 */
import type { Generated } from '../detector.ts';
import type { StaticOutput } from '../node/framework.ts';
import { USER } from './common.ts';

/** Unprivileged, so above 1023. nginx does not read the environment: the port is part of its configuration. */
export const STATIC_PORT = 8080;

const ROOT = '/srv/www';

export interface StaticRequest extends Omit<StaticOutput, 'folder'> {
  readonly base: string;
  readonly port: number;
  /** A folder of the build context, or of an earlier stage (then absolute). */
  readonly source: { readonly stage: string | null; readonly folder: string };
}

/** The stage, with the files that it needs. */
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
 * The end of a file name with a bundler's hash: eight characters of base64url (`index-BfX3a9_k.js`), or hexadecimal
 * digits (`main.1a2b3c4d.js`). Words and dates do not match, nor do hashes like them, which are then revalidated.
 */
const HASH = '(?:.*[-./])?(?:(?=[\\w-]+[A-Z])(?=[\\w-]*[a-z])[\\w-]{8}|(?=[a-f]*\\d)(?=\\d*[a-f])[0-9a-f]{8,32})';
const HASHED_NAME = `${HASH}(?:\\.[a-z0-9]+)+$`;
/** In any folder: a missing script must not get the page of a single-page site as its response. */
const HASHED_CODE = `^/${HASH}(?:\\.[a-z0-9]+)*\\.(?:m?js|css)$`;

/** Files that builds compress: name suffixes with their types, which nginx cannot derive from `.br`. */
const COMPRESSED: Readonly<Record<string, string>> = {
  'm?js': 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
  '(?:json|map)': 'application/json',
  webmanifest: 'application/manifest+json',
  xml: 'text/xml',
  txt: 'text/plain',
  wasm: 'application/wasm',
  dll: 'application/octet-stream',
  dat: 'application/octet-stream',
};

/** Path prefix that maps to the site's files with an added `.br`. */
const BROTLI = '/-br';

/** Writes only below /tmp, so that it runs unprivileged and on a read-only root. */
function nginxConf({ port, singlePage, fallback, hashed, partlyHashed }: StaticRequest): string {
  // The build may not create its fallback, so index.html follows.
  const pages = [...(fallback === undefined ? [] : [`/${fallback}`]), '/index.html'];
  const unknown = singlePage ? pages.join(' ') : '=404';
  const escaped = (path: string): string => path.replaceAll('.', '\\.');
  const named = partlyHashed === undefined ? [] : [`/${escaped(partlyHashed)}/${HASHED_NAME}`];
  const whole = hashed === undefined ? [] : [`/${hashed}/`];
  const caching = [...whole.map(escaped), ...named].map(
    (name) => `\n    "~^(?:${BROTLI})?${name}" "public, max-age=31536000, immutable";`,
  );
  const code = singlePage ? [HASHED_CODE] : [];
  const complete = [...whole, ...[...named.map((name) => `^${name}`), ...code].map((name) => `~ "${name}"`)].map(
    (which) => `
    # If one of these files is missing, no other file replaces it.
    location ${which} {
    }
`,
  );
  const types = Object.entries(COMPRESSED).map(([end, type]) => `\n    "~\\.${end}$" ${type};`);
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
  # Some versions of mime.types lack these two. Browsers run no module of another type.
  types {
    text/javascript mjs;
    application/manifest+json webmanifest;
  }
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
  # Serves files that the build compressed itself: app.js.gz beside app.js.
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types text/css text/plain text/javascript application/javascript application/json application/manifest+json application/xml image/svg+xml application/wasm;
  # Serves app.js.br too: the official image lacks the module for it, so these maps find the file.
  map $http_accept_encoding $brotli {
    default "";
    "~*(?:^|[ ,])br(?! *; *q=0(?:\\.0*)? *(?:,|$)) *(?:[,;]|$)" .br;
  }
  map $uri $brotli_type {
    default "";${types.join('')}
  }
  map "$brotli $brotli_type" $brotli_file {
    default "";
    "~^\\.br ." $document_root$uri.br;
  }
  # Browsers keep files whose names change with their content. They revalidate all others: 304 if nothing changed.
  map $uri $caching {
    default no-cache;${caching.join('')}
  }
  server {
    listen ${port};
    root ${ROOT};
    index index.html;
    absolute_redirect off;${singlePage ? '' : '\n    error_page 404 /404.html;'}
    # Files that begin with a dot are never part of a site, except .well-known (RFC 8615).
    location ~ /\\.(?!well-known/) {
      return 404;
    }
    add_header Cache-Control $caching;
    if (-f $brotli_file) {
      rewrite ^ ${BROTLI}$uri last;
    }
    location ~ "^${BROTLI}(?<plain>/.+)$" {
      internal;
      gzip off;
      gzip_static off;
      types {
      }
      default_type "";
      add_header Content-Type $brotli_type;
      add_header Content-Encoding br;
      add_header Vary Accept-Encoding;
      add_header Cache-Control $caching;
      try_files $plain.br =404;
    }
${complete.join('')}
    # Prefers the page blog.html to a folder blog, which may contain its articles.
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
