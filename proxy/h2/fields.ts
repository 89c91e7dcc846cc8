/** Fields as flat lists (name, value, name, …) with lower-case names, as HTTP/2 has them. */
import { ascii, isText } from '../fast/bytes.ts';
import type { ResponseHead } from '../fast/response-head.ts';
import { passedTrailers, responseHeaders } from '../general/headers.ts';
import type { FieldBlock } from './wire/field-block.ts';

const TRANSFER_ENCODING = ascii('transfer-encoding');

/** Adds the fields of an HTTP/1.1 answer that its client gets. The head has marked what it does not. */
export function addPassed(block: FieldBlock, head: ResponseHead): void {
  const { fields, cuts, bytes } = head;
  let cut = 0;
  for (let index = 0; index < fields.count; index += 1) {
    const line = fields.line(index);
    while (cut < cuts.count && cuts.end(cut) <= line) cut += 1;
    if (cut < cuts.count && cuts.start(cut) <= line) continue;
    const end = fields.nameEnd(index);
    if (isText(bytes, line, end, TRANSFER_ENCODING)) continue;
    block.addBytes(bytes, line, end, fields.valueStart(index), fields.valueEnd(index));
  }
}

/** Adds the Link fields (for 103 Early Hints). @returns false when there are none */
export function addLinks(block: FieldBlock, fields: readonly string[]): boolean {
  let isFound = false;
  for (let index = 0; index + 1 < fields.length; index += 2) {
    if (fields[index]?.toLowerCase() !== 'link') continue;
    block.add('link', fields[index + 1] as string);
    isFound = true;
  }
  return isFound;
}

/** The fields of an answer that node has read. @param raw as `rawHeaders` */
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
