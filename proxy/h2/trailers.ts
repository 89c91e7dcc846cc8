/** The trailers of a request (RFC 9113 section 8.1). */
import type { FieldList } from './wire/hpack-decoder.ts';

/** @returns alternating names and values, or null when a field is malformed, as every pseudo-header field is here */
export function requestTrailers(fields: FieldList): string[] | null {
  const found: string[] = [];
  for (let index = 0; index < fields.count; index += 1) {
    const { kind, name, value } = fields.at(index);
    if (kind === 'malformed' || kind === 'padded') return null;
    found.push(name, value);
  }
  return found;
}
