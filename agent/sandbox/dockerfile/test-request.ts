/** For tests: a Dockerfile as the builder reads it. */
import { type Dockerfile, type DockerfileRequest, readDockerfile } from './dockerfile.ts';

/** As read by a new engine, for the environment `env` with the secrets A and B. */
export const read = (text: string, more: Partial<DockerfileRequest> = {}): Dockerfile =>
  readDockerfile({
    text,
    origin: 'repository',
    engineVersion: '29.1.0',
    architecture: 'amd64',
    environmentId: 'env',
    secrets: ['A', 'B'],
    buildArgs: {},
    ...more,
  });

/** Code and message of the refusal; `taken` if there is none. */
export function refusal(text: string, more: Partial<DockerfileRequest> = {}): string {
  try {
    read(text, more);
  } catch (error) {
    const { code, message } = error as Error & { code: string };
    return `${code}: ${message}`;
  }
  return 'taken';
}
