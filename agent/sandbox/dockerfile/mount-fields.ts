/** The value of a `--mount`: comma-separated fields (instructions/commands_runmount.go of BuildKit). */
import { refused } from './refused.ts';

/** By name in lower case; the last occurrence wins. */
export type Fields = ReadonlyMap<string, string>;

/**
 * @param line line of the instruction, from 1
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for quotes, and for a variable as the type, which would hide the type
 */
export function readFields(value: string, line: number): Fields {
  if (value.includes('"')) throw refused('A mount with quotes in it cannot be read', line);
  const fields = value.split(',').map((field): [string, string] => {
    const equals = field.indexOf('=');
    return equals === -1 ? [field.toLowerCase(), ''] : [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)];
  });
  const read = new Map(fields);
  if (read.get('type')?.includes('$') === true) throw refused('The type of a mount must be written out', line);
  return read;
}

export const writeFields = (fields: Fields): string =>
  [...fields].map(([name, value]) => (value === '' ? name : `${name}=${value}`)).join(',');

export const targetOf = (fields: Fields): string =>
  fields.get('target') ?? fields.get('dst') ?? fields.get('destination') ?? '';
