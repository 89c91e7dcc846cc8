/** Laravel and Symfony: the database of a committed .env, of Laravel's example of one, or of its configuration. */
import { firstFile } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { lineOf } from './lines.ts';

/** Deployed with the app, if they are committed. */
const COMMITTED = ['.env.production', '.env.prod', '.env'];
const VARIABLE = /^(?:export\s+)?(?:DB_CONNECTION|DB_URL|DATABASE_URL)\s*=/m;
const SQLITE = /^(?:export\s+)?(?:DB_CONNECTION|DB_URL|DATABASE_URL)\s*=\s*["']?sqlite(?!.*:memory:)/;
/** `'default' => env('DB_CONNECTION', 'sqlite')` */
const DEFAULT = /^\s*["']default["']\s*=>.*["']sqlite["']/;

export async function phpFile(app: RepositoryView): Promise<string | null> {
  const composer = (await app.text('composer.json')) ?? '';
  if (!/"(?:laravel\/framework|symfony\/framework-bundle)"/.test(composer)) return null;
  for (const path of COMMITTED) {
    const text = await app.text(path);
    if (text !== null && VARIABLE.test(text)) return placeOf(path, lineOf(text, SQLITE));
  }
  return composer.includes('"laravel/framework"') ? laravelFile(app) : null;
}

/** The example is what the author means to set; without a word of it, the configuration decides. */
async function laravelFile(app: RepositoryView): Promise<string | null> {
  const example = await firstFile(app, ['.env.production.example', '.env.example']);
  if (example !== null && VARIABLE.test(example.text)) return placeOf(example.path, lineOf(example.text, SQLITE));
  const path = 'config/database.php';
  const config = await app.text(path);
  return config === null ? null : placeOf(path, lineOf(config, DEFAULT));
}

const placeOf = (path: string, line: number | null): string | null =>
  line === null ? null : `${path} line ${line} names SQLite`;
