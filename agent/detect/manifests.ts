/** Manifests as data, or an error that names the file and the place. Never "nothing found" for what cannot be read. */
import { parse as parseTomlText } from 'smol-toml';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';

function invalid(path: string, why: string, cause?: unknown): OrkestrError {
  return new OrkestrError('ORK_MANIFEST_INVALID', `${path} cannot be read: ${why}`, { cause });
}

/** @throws OrkestrError ORK_MANIFEST_INVALID with line and column, or with the field that has the wrong shape */
export function parseJson<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  return shaped(path, value, schema);
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

function shaped<T>(path: string, value: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? 'the whole' : issue.path.join('.');
  throw invalid(path, `${place}: ${issue?.message ?? 'unexpected shape'}`);
}
