/** Fields as flat lists: name, value, name, … */
import { passedTrailers, responseHeaders } from './headers.ts';

/** As they stand in a head or a trailer section of HTTP/1.1. */
export function fieldLines(fields: readonly string[]): string {
  return fields.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}

/** Those of an answer that node has read which pass, with lower-case names. @param raw as `rawHeaders` */
export function passedFields(raw: readonly string[], status: number): string[] {
  const regular = raw[0]?.startsWith(':') === true ? raw.slice(pseudoFields(raw)) : raw;
  return withLowerNames(responseHeaders(regular, status));
}

function pseudoFields(raw: readonly string[]): number {
  let index = 0;
  while (raw[index]?.startsWith(':') === true) index += 2;
  return index;
}

/** The trailers that pass, flat, with lower-case names. */
export function passedTrailerFields(raw: readonly string[]): string[] {
  return withLowerNames(passedTrailers(raw).flat());
}

/** @param fields names and values in turn */
export function withLowerNames(fields: readonly string[]): string[] {
  return fields.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

/** As node's `sendTrailers` and `additionalHeaders` want them: repeated ones as lists. */
export function asObject(fields: readonly string[]): Record<string, string | string[]> {
  const grouped = new Map<string, string[]>();
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase();
    grouped.set(name, [...(grouped.get(name) ?? []), fields[index + 1] ?? '']);
  }
  return Object.fromEntries(grouped);
}
