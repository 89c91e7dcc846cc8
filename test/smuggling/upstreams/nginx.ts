/** nginx; its access log records the requests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const nginx: UpstreamKind = {
  name: 'nginx',
  refusesUnseen: false,
  command: ({ folder, port, seenFile }) => {
    const file = join(folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    writeFileSync(
      file,
      `daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 512; }
http {
  log_format seen '$request';
  access_log ${seenFile} seen;
  keepalive_timeout 30s;
  large_client_header_buffers 8 32k;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port};
    return 200 'ok';
  }
}
`,
    );
    return { argv: ['nginx', '-p', folder, '-c', file, '-e', 'stderr'] };
  },
};
