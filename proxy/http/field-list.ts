/** Fields as flat lists: name, value, name, … */
import { passedTrailers, responseHeaders } from './headers.ts';

/** Formats the fields as lines of an HTTP/1.1 head or trailer section. */
export function fieldLines(fields: readonly string[]): string {
  return fields.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}

/** The fields of a response that may be forwarded, with lower-case names. @param raw as in node's `rawHeaders` */
export function passedFields(raw: readonly string[], status: number): string[] {
  const regular = raw[0]?.startsWith(':') === true ? raw.slice(pseudoFields(raw)) : raw;
  return withLowerNames(responseHeaders(regular, status));
}

function pseudoFields(raw: readonly string[]): number {
  let index = 0;
  while (raw[index]?.startsWith(':') === true) index += 2;
  return index;
}

/** The trailers that may be forwarded, with lower-case names. */
export function passedTrailerFields(raw: readonly string[]): string[] {
  return withLowerNames(passedTrailers(raw).flat());
}

/** @param fields alternating names and values */
export function withLowerNames(fields: readonly string[]): string[] {
  return fields.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

/** Converts the fields for node's `sendTrailers` and `additionalHeaders`: repeated fields become lists. */
export function asObject(fields: readonly string[]): Record<string, string | string[]> {
  const grouped = new Map<string, string[]>();
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase();
    grouped.set(name, [...(grouped.get(name) ?? []), fields[index + 1] ?? '']);
  }
  return Object.fromEntries(grouped);
}
