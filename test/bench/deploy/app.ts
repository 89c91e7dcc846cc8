/** The deployed app: the Express fixture with its own Dockerfile, and a word that distinguishes the versions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../installer/stack/stack.ts';

export const FIXTURE = 'express';
/** Where the app listens. */
export const PORT = 3000;

const DOCKERFILE = `FROM node:26-trixie-slim
ENV NODE_ENV=production BENCH_ROUND=ROUND
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
USER 10001
EXPOSE ${PORT}
CMD ["node", "app.js"]
`;

/**
 * Files of one version. A new `round` changes every command of the Dockerfile, so that no build cache applies; with the
 * same round only the source differs.
 */
export function filesOf(version: string, round: string): Record<string, string> {
  const source = readFileSync(join(ROOT, 'test/fixtures/apps', FIXTURE, 'app.js'), 'utf8');
  return {
    'app.js': source.replace('Hello from Express', version),
    Dockerfile: DOCKERFILE.replace('ROUND', round),
    '.dockerignore': '.git\nnode_modules\n',
  };
}
