/** Prisma: the provider of its data source. */
import type { RepositoryView } from '../repository.ts';
import { linesOf } from './lines.ts';

const FILES = ['prisma/schema.prisma', 'schema.prisma', 'src/prisma/schema.prisma'];
/** A schema in several files. */
const FOLDER = 'prisma/schema';
const MAX_FILES = 20;
/** Adapters by which Prisma speaks to a server although its provider is SQLite. */
const REMOTE = /"@prisma\/adapter-(?:libsql|d1)"/;

export async function prismaFile(app: RepositoryView): Promise<string | null> {
  for (const path of [...FILES, ...(await partsOf(app))]) {
    const line = providerLine((await app.text(path)) ?? '');
    if (line === null) continue;
    const isRemote = REMOTE.test((await app.text('package.json')) ?? '');
    return isRemote ? null : `${path} line ${line} names SQLite`;
  }
  return null;
}

async function partsOf(app: RepositoryView): Promise<string[]> {
  const names = (await app.entries(FOLDER)).filter((name) => name.endsWith('.prisma'));
  return names.slice(0, MAX_FILES).map((name) => `${FOLDER}/${name}`);
}

/** Line of `provider = "sqlite"` in `datasource db { … }`. */
function providerLine(schema: string): number | null {
  let isInside = false;
  for (const [index, line] of linesOf(schema).entries()) {
    if (/^\s*datasource\s/.test(line)) isInside = true;
    if (isInside && /^(?!\s*\/\/).*\bprovider\s*=\s*["']sqlite["']/.test(line)) return index + 1;
    if (line.includes('}')) isInside = false;
  }
  return null;
}
