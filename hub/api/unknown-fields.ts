/** Rejects fields that a schema dropped: a typo must not pass silently. */
import { validatorCompiler } from 'fastify-type-provider-zod';
import { invalid } from './problem.ts';

/** Validates requests by their schemas, and rejects bodies with unknown fields. */
export const requestValidator: typeof validatorCompiler = (part) => {
  const validate = validatorCompiler(part);
  if (part.httpPart !== 'body') return validate;
  return (given: unknown) => {
    const result = validate(given);
    if (typeof result !== 'object' || !('value' in result)) return result;
    const unknown = unknownFields(given, result.value, 'body');
    return unknown.length > 0 ? { error: invalid(unknown) } : result;
  };
};

/** A line for each field of `given` that is missing in `result`. Null counts as absent and may be missing. */
export function unknownFields(given: unknown, result: unknown, path: string): string[] {
  if (typeof given !== 'object' || given === null || typeof result !== 'object' || result === null) return [];
  const known = new Map<string, unknown>(Object.entries(result));
  return Object.entries(given).flatMap(([name, value]) => {
    const at = `${path}.${name}`;
    if (known.has(name)) return unknownFields(value, known.get(name), at);
    return value === null ? [] : [`${at}: there is no such field`];
  });
}
