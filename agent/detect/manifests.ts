/** Parses manifests, or throws an error with file and position. Never treats an unreadable file as absent. */
import { parse as parseTomlText } from 'smol-toml';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { jsonLines } from './json-lines.ts';

function invalid(path: string, why: string, cause?: unknown): OrkestrError {
  return new OrkestrError('ORK_MANIFEST_INVALID', `${path} cannot be read: ${why}`, { cause });
}

/** @throws OrkestrError ORK_MANIFEST_INVALID with line and column, or with the field of the wrong type */
export function parseJson<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw invalid(path, `it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  return shaped(path, value, schema, () => jsonLines(text));
}

/** JSON with comments and trailing commas, like `deno.jsonc`. Keeps line numbers. */
export function parseJsonWithComments<T>(path: string, text: string, schema: z.ZodType<T>): T {
  // An unterminated string is one token too: otherwise each quote in it would start another attempt (quadratic time).
  const bare = text.replace(/"(?:\\.|[^"\\\n])*"?|\/\/[^\n]*|\/\*(?:[^]*?\*\/|[^]*)|,(?=\s*[}\]])/g, (token) =>
    token.startsWith('"') ? token : token.replace(/[^\n]/g, ' '),
  );
  return parseJson(path, bare, schema);
}

/** @throws OrkestrError ORK_MANIFEST_INVALID with line and column, or with the field of the wrong type */
export function parseToml<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = parseTomlText(text);
  } catch (cause) {
    // smol-toml's message continues with the quoted source; the first line is enough.
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
  // For an unknown field, report the line of the field itself.
  if (issue?.code === 'unrecognized_keys') at.push(issue.keys[0] ?? '');
  const line = linesOf().get(at.join('.'));
  const place = at.length === 0 ? 'the whole' : at.join('.');
  throw invalid(
    path,
    `${place}${line === undefined ? '' : ` (line ${line})`}: ${issue?.message ?? 'unexpected shape'}`,
  );
}
