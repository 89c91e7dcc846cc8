/** Fields of a request that its schema let fall: a slip of the pen must not pass in silence. */
import { validatorCompiler } from 'fastify-type-provider-zod';
import { invalid } from './problem.ts';

/** What checks the parts of a request by their schemas, and answers a body with fields that its schema does not have. */
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

/** A line for each field of `given` that is not in what became of it. Null is no value, and may be left out. */
export function unknownFields(given: unknown, result: unknown, path: string): string[] {
  if (typeof given !== 'object' || given === null || typeof result !== 'object' || result === null) return [];
  const known = new Map<string, unknown>(Object.entries(result));
  return Object.entries(given).flatMap(([name, value]) => {
    const at = `${path}.${name}`;
    if (known.has(name)) return unknownFields(value, known.get(name), at);
    return value === null ? [] : [`${at}: there is no such field`];
  });
}
