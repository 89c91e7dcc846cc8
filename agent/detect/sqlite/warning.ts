/** A warning if the app keeps its database in a file: the next deployment begins without it. */
import { posix } from 'node:path';
import type { EnvVars } from '../../../protocol/ids.ts';
import type { DetectRequest, Facts, DetectedApp } from '../detector.ts';
import { lenientView, orElse } from '../lenient-view.ts';
import { within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { djangoFile } from './django.ts';
import { goFile } from './go.ts';
import { nodeFile } from './node.ts';
import { phpFile } from './php.ts';
import { prismaFile } from './prisma.ts';
import { railsFile } from './rails.ts';

/** Where the app names a database in a file: "config/database.yml line 12 sets …"; null if it does not. */
type Finder = (app: RepositoryView) => Promise<string | null>;

/** In this order; the first that finds something is named. */
const FINDERS: readonly Finder[] = [railsFile, djangoFile, phpFile, prismaFile, nodeFile, goFile];

/** Servers of files: an image based on one of them contains no app that writes a database. */
const FILE_SERVER = /(?:^|\/)(?:nginx|nginx-unprivileged|httpd|caddy|static-web-server)(?::|@|$)/;

export async function databaseFileWarning(
  request: DetectRequest,
  detected: DetectedApp,
  { facts, variables }: { readonly facts: Facts; readonly variables: EnvVars },
): Promise<string[]> {
  if (servesFiles(facts, detected)) return [];
  const said = databaseOf(variables);
  if (said?.isFile === false) return [];
  const where = said === null ? await firstOf(appFolder(request, detected)) : `The variable ${said.name} names SQLite`;
  if (where === null) return [];
  return [
    `${where}: if production uses it, each deployment begins without the data, because the file is deleted with its container. Keep lasting data in a database outside of it: docs/services.md.`,
  ];
}

const servesFiles = ({ runtime }: Facts, { evidence }: DetectedApp): boolean =>
  runtime === 'static' || evidence.some(({ subject, value }) => subject === 'runtime' && FILE_SERVER.test(value));

async function firstOf(app: RepositoryView): Promise<string | null> {
  for (const find of FINDERS) {
    // A manifest that cannot be parsed is the matter of its detector.
    const where = await orElse(null, find(app));
    if (where !== null) return where;
  }
  return null;
}

/** The root directory, or the member of its workspace that is the app. */
function appFolder({ repository, checkout }: DetectRequest, { evidence, context }: DetectedApp): RepositoryView {
  const member = evidence.find(({ subject }) => subject === 'app')?.value;
  if (member === undefined || context === undefined) return lenientView(repository);
  return within(lenientView(checkout.repository), posix.join(context, member));
}

const SERVER =
  /^(?:django\.db\.backends\.)?(?:postgres(?:ql)?|postgis|pgsql|pg|mysql2?|mariadb|mongodb|sqlsrv|mssql|sqlserver|oracle|cockroachdb|libsql)\b/i;
const SERVER_HOST = /^(?:PG|(?:DB|DATABASE|SQL|POSTGRES|POSTGRESQL|MYSQL|MARIADB|MONGO|MONGODB)_)HOST(?:NAME)?$/;
const FILE_NAME = /(?:^|_)(?:DB|DATABASE|SQLITE)(?:_|$)/;
const FILE = /^(?:sqlite3?(?:\+\w+)?(?::(?!.*:memory:)|$)|file:(?!.*:memory:))/i;

/** What the variables say of the database: a server takes precedence, since a file beside it may be a cache. */
function databaseOf(variables: EnvVars): { readonly name: string; readonly isFile: boolean } | null {
  const all = Object.entries(variables);
  const server = all.find(([name, value]) => SERVER.test(value) || (SERVER_HOST.test(name) && value !== ''));
  if (server !== undefined) return { name: server[0], isFile: false };
  const file = all.find(([name, value]) => FILE_NAME.test(name) && FILE.test(value));
  return file === undefined ? null : { name: file[0], isFile: true };
}
