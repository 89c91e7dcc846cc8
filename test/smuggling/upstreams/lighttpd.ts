/** lighttpd with a CGI app that records requests, since its access log is buffered for seconds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const lighttpd: UpstreamKind = {
  name: 'lighttpd',
  refusesUnseen: true,
  command: ({ folder, port, seenFile }) => {
    const file = join(folder, 'lighttpd.conf');
    mkdirSync(join(folder, 'htdocs'));
    writeFileSync(
      file,
      `server.modules = ("mod_alias", "mod_cgi", "mod_setenv")
server.bind = "127.0.0.1"
server.port = ${port}
server.document-root = "${folder}/htdocs"
server.upload-dirs = ("${folder}")
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 30
alias.url = ("" => "${join(import.meta.dirname, 'apps', 'lighttpd.sh')}")
cgi.assign = ("" => "/bin/sh")
setenv.set-environment = ("SEEN" => "${seenFile}")
`,
    );
    return { argv: ['lighttpd', '-D', '-f', file] };
  },
};
