/** The app that is deployed: the Express fixture with a Dockerfile of its own, and a word that tells one version from another. */
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
 * Files of one version. Another \`round\` makes every command of the Dockerfile a new one, which no build cache has; with the
 * same only the source is another.
 */
export function filesOf(version: string, round: string): Record<string, string> {
  const source = readFileSync(join(ROOT, 'test/fixtures/apps', FIXTURE, 'app.js'), 'utf8');
  return {
    'app.js': source.replace('Hello from Express', version),
    Dockerfile: DOCKERFILE.replace('ROUND', round),
    '.dockerignore': '.git\nnode_modules\n',
  };
}
