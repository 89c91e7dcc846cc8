/** Manifests as data, or an error that names the file and the place. Never "nothing found" for what cannot be read. */
import { parse as parseTomlText } from 'smol-toml';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { jsonLines } from './json-lines.ts';

function invalid(path: string, why: string, cause?: unknown): OrkestrError {
  return new OrkestrError('ORK_MANIFEST_INVALID', `${path} cannot be read: ${why}`, { cause });
}

/** @throws OrkestrError ORK_MANIFEST_INVALID with line and column, or with the field that has the wrong shape */
export function parseJson<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw invalid(path, `it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  return shaped(path, value, schema, () => jsonLines(text));
}

/** JSON with comments and trailing commas, as `deno.jsonc` has them. Lines stay where they are. */
export function parseJsonWithComments<T>(path: string, text: string, schema: z.ZodType<T>): T {
  // A string that is not closed is one token, too: else each quote in it is looked at as the start of another one.
  const bare = text.replace(/"(?:\\.|[^"\\\n])*"?|\/\/[^\n]*|\/\*(?:[^]*?\*\/|[^]*)|,(?=\s*[}\]])/g, (token) =>
    token.startsWith('"') ? token : token.replace(/[^\n]/g, ' '),
  );
  return parseJson(path, bare, schema);
}

/** @throws OrkestrError ORK_MANIFEST_INVALID with line and column, or with the field that has the wrong shape */
export function parseToml<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = parseTomlText(text);
  } catch (cause) {
    // smol-toml's message goes on with the quoted source; its first line has the place.
    const [first] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    const place =
      cause instanceof Error && 'line' in cause && 'column' in cause
        ? ` (line ${String(cause.line)} column ${String(cause.column)})`
        : '';
    throw invalid(path, `it is not TOML: ${first}${place}`, cause);
  }
  return shaped(path, value, schema);
}

function shaped<T>(
  path: string,
  value: unknown,
  schema: z.ZodType<T>,
  linesOf: () => ReadonlyMap<string, number> = () => new Map(),
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = [...(issue?.path ?? [])];
  // Of a field that should not be there the line is its own.
  if (issue?.code === 'unrecognized_keys') at.push(issue.keys[0] ?? '');
  const line = linesOf().get(at.join('.'));
  const place = at.length === 0 ? 'the whole' : at.join('.');
  throw invalid(
    path,
    `${place}${line === undefined ? '' : ` (line ${line})`}: ${issue?.message ?? 'unexpected shape'}`,
  );
}
