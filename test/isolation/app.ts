/** The deployed app: it probes its targets during its build, and again at each request for /probe. */
import { readFileSync } from 'node:fs';
import type { Target } from './prober.mjs';

export interface TargetLists {
  readonly build: readonly Target[];
  readonly app: readonly Target[];
}

const SERVER = `
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { probeAll } from './prober.mjs';
const { app } = JSON.parse(readFileSync(new URL('targets.json', import.meta.url), 'utf8'));
createServer(async (request, response) => {
  response.end(JSON.stringify(request.url === '/probe' ? await probeAll(app, 'app') : 'ok'));
}).listen(process.env.PORT ?? 3000);
`;

/** Files of its repository. @param more lines of the Dockerfile, before the last stage's command */
export function appFiles(targets: TargetLists, more: readonly string[] = []): Record<string, string> {
  const dockerfile = [
    'FROM node:26-trixie-slim',
    'COPY . /srv',
    'RUN node /srv/prober.mjs build',
    ...more,
    'USER 10001:10001',
    'EXPOSE 3000',
    'CMD ["node", "/srv/server.mjs"]',
  ];
  return {
    Dockerfile: `${dockerfile.join('\n')}\n`,
    'targets.json': JSON.stringify(targets),
    'prober.mjs': readFileSync(new URL('prober.mjs', import.meta.url), 'utf8'),
    'server.mjs': SERVER,
  };
}

/** The prober's results in a build log. */
export function readResults(log: string): Record<string, boolean> {
  const found = [...log.matchAll(/isolation (\S+)=(reached|closed)$/gm)];
  return Object.fromEntries(found.map(([, name = '', how]) => [name, how === 'reached']));
}
