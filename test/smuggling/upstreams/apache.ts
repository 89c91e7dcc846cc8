/** Apache httpd with its event MPM; its access log records the requests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const apache: UpstreamKind = {
  name: 'apache2',
  refusesUnseen: false,
  command: ({ folder, port, seenFile }) => {
    const file = join(folder, 'apache2.conf');
    const modules = ['mpm_event', 'authz_core', 'dir', 'alias'];
    mkdirSync(join(folder, 'htdocs'));
    writeFileSync(join(folder, 'htdocs', 'index.html'), 'ok');
    writeFileSync(
      file,
      `${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
ServerName upstream
Listen 127.0.0.1:${port}
PidFile ${folder}/apache2.pid
DefaultRuntimeDir ${folder}
Mutex pthread default
User www-data
Group www-data
StartServers 1
ServerLimit 1
ThreadsPerChild 100
ThreadLimit 100
MaxRequestWorkers 100
MinSpareThreads 1
MaxSpareThreads 100
KeepAliveTimeout 30
LimitRequestLine 32768
ErrorLog /proc/self/fd/2
LogFormat "%r" seen
CustomLog ${seenFile} seen
DocumentRoot ${folder}/htdocs
<Directory ${folder}/htdocs>
  Require all granted
  FallbackResource /index.html
</Directory>
`,
    );
    return { argv: ['apache2', '-f', file, '-D', 'FOREGROUND'] };
  },
};
