/** Ruby: the gem sqlite3, and what production uses by config/database.yml. */
import type { RepositoryView } from '../repository.ts';
import { readYamlBlocks, yamlField } from '../yaml-blocks.ts';
import type { YamlField, YamlFile } from '../yaml-blocks.ts';
import { linesOf } from './lines.ts';

const CONFIG = 'config/database.yml';
const OTHERS = ['pg', 'mysql2', 'trilogy', 'mongoid', 'tiny_tds'];

export async function railsFile(app: RepositoryView): Promise<string | null> {
  const gemfile = await app.text('Gemfile');
  const gems = gemfile === null ? new Map<string, number>() : productionGems(gemfile);
  const line = gems.get('sqlite3');
  if (line === undefined) return null;
  const config = await app.text(CONFIG);
  if (config === null) return OTHERS.some((gem) => gems.has(gem)) ? null : `Gemfile line ${line} lists sqlite3`;
  const adapter = productionAdapter(readYamlBlocks(config));
  return adapter === null ? null : `${CONFIG} line ${adapter} names SQLite for production`;
}

/** The line that makes it SQLite; null if it is another one, or if a URL decides. */
function productionAdapter(file: YamlFile): number | null {
  const production = file.fields.find(({ key }) => key === 'production');
  if (production === undefined) return null;
  const field = (of: YamlField, key: string): YamlField | undefined => yamlField(file, of, key);
  const isOne = (of: YamlField): boolean => ['adapter', 'url'].some((key) => field(of, key) !== undefined);
  // With several databases, the first is the app's own: the others may be a cache or a queue.
  const database = isOne(production) ? production : production.fields.find(({ key }) => key !== '<<');
  if (database === undefined || field(database, 'url') !== undefined) return null;
  const adapter = field(database, 'adapter');
  return adapter !== undefined && /sqlite3/.test(adapter.value) ? adapter.line : null;
}

const DEVELOPMENT = /^(?:development|test|ci|lint|docs?)$/;

/** Gems that production installs, each with its line. */
function productionGems(gemfile: string): Map<string, number> {
  const gems = new Map<string, number>();
  /** For each open block, whether production leaves its gems out. */
  const open: boolean[] = [];
  for (const [index, line] of linesOf(gemfile).entries()) {
    if (/^\s*end\b/.test(line)) open.pop();
    const [, gem, options = ''] = /^\s*gem[\s(]+["']([\w.-]+)["'](.*)/.exec(line) ?? [];
    const [, groups = ''] = /\bgroups?(?::|\s*=>)\s*(%i\[[^\]]*\]|\[[^\]]*\]|:\w+|["']\w+["'])/.exec(options) ?? [];
    if (gem !== undefined && !open.includes(true) && !isLeftOut(groups)) gems.set(gem, index + 1);
    if (/\bdo(?:\s*\|.*\|)?\s*(?:#.*)?$/.test(line) || /^\s*(?:if|unless|case)\b/.test(line))
      open.push(isLeftOut(/^\s*group\b(.*)/.exec(line)?.[1] ?? ''));
  }
  return gems;
}

/** @param groups as in a Gemfile: `:development, :test do`; empty without any */
function isLeftOut(groups: string): boolean {
  const words = /%i\[([^\]]*)\]/.exec(groups)?.[1]?.split(/\s+/) ?? [];
  const names = [...groups.matchAll(/(?<![\w:]):(\w+)|["'](\w+)["']/g)].map(([, symbol, text]) => symbol ?? text ?? '');
  const all = [...words, ...names];
  return /\boptional:\s*true/.test(groups) || (all.length > 0 && all.every((name) => DEVELOPMENT.test(name)));
}
