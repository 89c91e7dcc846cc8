/** The trailers of a request (RFC 9113 section 8.1). */
import type { FieldList } from './wire/hpack-decoder.ts';

/** @returns names and values in turn, or null when they are malformed: no pseudo field may be there */
export function requestTrailers(fields: FieldList): string[] | null {
  const found: string[] = [];
  for (let index = 0; index < fields.count; index += 1) {
    const { kind, name, value } = fields.at(index);
    if (kind === 'malformed') return null;
    if (kind !== 'dropped') found.push(name, value);
  }
  return found;
}
