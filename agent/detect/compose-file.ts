/** A compose file is recognized but never run: an environment is one container. */
import { firstFile } from './repository.ts';
import type { RepositoryView } from './repository.ts';

const NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];

interface ComposeFile {
  readonly path: string;
  /** Names of its services, at most 20, as far as a line-based parser finds them. */
  readonly services: readonly string[];
}

/** The compose file of a folder, or null. */
export async function composeFile(repository: RepositoryView): Promise<ComposeFile | null> {
  const found = await firstFile(repository, NAMES);
  if (found === null) return null;
  const [, block = ''] = /^services:[ \t]*(?:#.*)?\n((?:[ \t]+.*(?:\n|$)|#.*\n|\s*\n)*)/m.exec(found.text) ?? [];
  const indent = /^([ \t]+)\S/m.exec(block)?.[1] ?? '  ';
  const services = [...block.matchAll(/^([ \t]+)["']?([A-Za-z0-9._-]{1,60})["']?:/gm)]
    .filter(([, depth]) => depth === indent)
    .map(([, , name = '']) => name);
  return { path: found.path, services: services.slice(0, 20) };
}
