/** Finds, from the schemas alone, what one version writes and another refuses. */
import type { JsonSchema } from './schemas.ts';

/** Bounds where the reader must not be stricter: `maximum` and the like in one direction, `minimum` in the other. */
const UPPER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems'] as const;
const LOWER = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems'] as const;

/** Everything in `written` that a reader of `read` may refuse, one line each. Readers ignore unknown fields. */
export function refusals(written: JsonSchema, read: JsonSchema, at: string): string[] {
  if (Object.keys(read).every((key) => key === '$schema')) return [];
  const said = written.oneOf ?? written.anyOf;
  if (said) return said.flatMap((variant) => refusals(variant, read, `${at}${tagOf(variant)}`));
  const known = read.oneOf ?? read.anyOf;
  if (known) return best(written, known, at);
  return [
    ...values(written, read, at),
    ...types(written, read, at),
    ...bounds(written, read, at),
    ...fields(written, read, at),
    ...elements(written, read, at),
  ];
}

/** Compares with the reader's variant that refuses least; variants with another tag are not tried. */
function best(written: JsonSchema, known: readonly JsonSchema[], at: string): string[] {
  const tried = known
    .filter((variant) => tagOf(variant) === tagOf(written))
    .map((variant) => refusals(written, variant, at))
    .toSorted((a, b) => a.length - b.length);
  return tried[0] ?? [`${at}: not known`];
}

/** `/job` for a message with that type, otherwise an empty string. */
function tagOf({ properties }: JsonSchema): string {
  const tag = properties?.type?.const ?? properties?.kind?.const;
  return typeof tag === 'string' ? `/${tag}` : '';
}

function values(written: JsonSchema, read: JsonSchema, at: string): string[] {
  const accepted = allowed(read);
  if (accepted === undefined) return [];
  const given = allowed(written);
  if (given === undefined) return [`${at}: any value, where only some are known`];
  return given.filter((value) => !accepted.includes(value)).map((value) => `${at}: the value ${JSON.stringify(value)}`);
}

const allowed = (schema: JsonSchema): readonly unknown[] | undefined =>
  'const' in schema ? [schema.const] : schema.enum;

const typesOf = ({ type }: JsonSchema): readonly string[] => (type === undefined ? [] : [type].flat());

function types(written: JsonSchema, read: JsonSchema, at: string): string[] {
  const accepted = typesOf(read);
  if (accepted.length === 0) return [];
  const given = typesOf(written);
  if (given.length === 0) return [`${at}: anything in place of ${accepted.join(', ')}`];
  const isTaken = (type: string): boolean =>
    accepted.includes(type) || (type === 'integer' && accepted.includes('number'));
  return given.filter((type) => !isTaken(type)).map((type) => `${at}: ${type} in place of ${accepted.join(', ')}`);
}

function bounds(written: JsonSchema, read: JsonSchema, at: string): string[] {
  const found: string[] = [];
  const check = (bound: string, isTighter: (read: number, written: number) => boolean, free: number): void => {
    const given = numberOr(free, written[bound]);
    const accepted = numberOr(free, read[bound]);
    if (isTighter(accepted, given)) found.push(`${at}: ${bound} ${given}, where ${accepted} is taken`);
  };
  // A constant or an enum value is within its bounds.
  if (allowed(written) !== undefined) return [];
  for (const bound of UPPER) check(bound, (accepted, given) => accepted < given, Infinity);
  for (const bound of LOWER)
    check(bound, (accepted, given) => accepted > given, bound.endsWith('inimum') ? -Infinity : 0);
  for (const rule of ['pattern', 'allOf', 'propertyNames'] as const) {
    const [given, accepted] = [written[rule], read[rule]].map((value) => JSON.stringify(value));
    if (accepted !== undefined && accepted !== given) found.push(`${at}: another ${rule}`);
  }
  return found;
}

const numberOr = (free: number, bound: unknown): number => (typeof bound === 'number' ? bound : free);

function fields(written: JsonSchema, read: JsonSchema, at: string): string[] {
  const missing = (read.required ?? []).filter((name) => !(written.required ?? []).includes(name));
  const both = Object.entries(read.properties ?? {}).flatMap(([name, inner]) => {
    const given = written.properties?.[name];
    return given === undefined ? [] : refusals(given, inner, `${at}.${name}`);
  });
  const [given, accepted] = [written.additionalProperties, read.additionalProperties];
  const rest = isSchema(given) && isSchema(accepted) ? refusals(given, accepted, `${at}.*`) : [];
  return [...missing.map((name) => `${at}.${name}: may be left out, and is needed`), ...both, ...rest];
}

const isSchema = (rest: JsonSchema | boolean | undefined): rest is JsonSchema => typeof rest === 'object';

function elements(written: JsonSchema, read: JsonSchema, at: string): string[] {
  const items = written.items && read.items ? refusals(written.items, read.items, `${at}[]`) : [];
  const places = (read.prefixItems ?? []).flatMap((inner, index) => {
    const given = written.prefixItems?.[index];
    return given === undefined ? [`${at}[${index}]: not given`] : refusals(given, inner, `${at}[${index}]`);
  });
  return [...items, ...places];
}
