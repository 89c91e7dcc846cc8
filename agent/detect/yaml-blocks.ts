/**
 * Block mappings of a YAML file, read line by line: enough for the few keys that a warning needs. Lists, flow mappings
 * and text blocks are not understood; what looks like a key in them is below the key that they belong to.
 */

export interface YamlField {
  readonly key: string;
  /** The text after the colon without comment, quotes and anchor: `*default`, `[a, b]`. Empty for a mapping. */
  readonly value: string;
  readonly line: number;
  readonly fields: readonly YamlField[];
}

export interface YamlFile {
  /** Keys of the top level. */
  readonly fields: readonly YamlField[];
  /** By the name of the anchor: `default: &default`. */
  readonly anchors: ReadonlyMap<string, YamlField>;
}

/** A value is cut here: more than that is a text, or a list that nobody wrote. */
const MAX_VALUE = 500;
/** Merges (`<<: *name`) are followed this deep, and this many of a mapping: a file may nest them without end. */
const MAX_DEPTH = 2;
const MAX_MERGES = 3;

const FIELD = /^( *)(["']?)([^\s"':#-][^"':#]{0,100}?)\2 *:(?:[ \t]+(\S.*))?$/;

export function readYamlBlocks(text: string): YamlFile {
  const top: YamlField[] = [];
  const anchors = new Map<string, YamlField>();
  const open: { readonly indent: number; readonly fields: YamlField[] }[] = [{ indent: -1, fields: top }];
  for (const [index, line] of text.split('\n').entries()) {
    const [, { length: indent } = '', , key, said = ''] = FIELD.exec(line.trimEnd()) ?? [];
    if (key === undefined) continue;
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop();
    const [, anchor, value = ''] = /^(?:&([\w.-]+)\s*)?(.*)$/.exec(withoutComment(said.slice(0, MAX_VALUE))) ?? [];
    const fields: YamlField[] = [];
    const field = { key, value: value.replace(/^(["'])(.*)\1$/, '$2'), line: index + 1, fields };
    open.at(-1)?.fields.push(field);
    open.push({ indent, fields });
    if (anchor !== undefined) anchors.set(anchor, field);
  }
  return { fields: top, anchors };
}

const withoutComment = (value: string): string => (value.startsWith('#') ? '' : value.replace(/\s#.*$/, '').trim());

/** The field of a mapping under this key: its own, or one that it merges. */
export function yamlField(
  { anchors }: Pick<YamlFile, 'anchors'>,
  { fields }: Pick<YamlField, 'fields'>,
  key: string,
  depth = 0,
): YamlField | undefined {
  const own = fields.find((field) => field.key === key);
  if (own !== undefined || depth === MAX_DEPTH) return own;
  const merged = fields
    .filter((field) => field.key === '<<')
    .flatMap(({ value }) => [...value.matchAll(/\*([\w.-]+)/g)].map(([, name = '']) => anchors.get(name)));
  for (const from of merged.slice(0, MAX_MERGES)) {
    const found = from === undefined ? undefined : yamlField({ anchors }, from, key, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
