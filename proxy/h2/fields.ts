/** Fields as flat lists (name, value, name, …) with lower-case names, as HTTP/2 has them. */
import type { ResponseHead } from '../fast/response-head.ts';
import { passedTrailers, responseHeaders } from '../general/headers.ts';

const isSpecific = (name: string): boolean => name === 'transfer-encoding' || name === 'keep-alive';

/** The fields of an HTTP/1.1 answer that its client gets. The head has marked what it does not. */
export function answerFields(head: ResponseHead): string[] {
  const { fields, cuts, bytes, start, end } = head;
  const text = bytes.toString('latin1', start, end);
  const found: string[] = [];
  let cut = 0;
  for (let index = 0; index < fields.count; index += 1) {
    const line = fields.line(index);
    while (cut < cuts.count && cuts.end(cut) <= line) cut += 1;
    if (cut < cuts.count && cuts.start(cut) <= line) continue;
    const name = text.slice(line - start, fields.nameEnd(index) - start).toLowerCase();
    if (isSpecific(name)) continue;
    found.push(name, text.slice(fields.valueStart(index) - start, fields.valueEnd(index) - start));
  }
  return found;
}

/** The fields of an answer that node has read. @param raw as `rawHeaders` */
export function passedFields(raw: readonly string[], status: number): string[] {
  const regular = raw[0]?.startsWith(':') === true ? raw.slice(pseudoFields(raw)) : raw;
  return responseHeaders(regular, status).map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

function pseudoFields(raw: readonly string[]): number {
  let index = 0;
  while (raw[index]?.startsWith(':') === true) index += 2;
  return index;
}

/** The trailers that pass, flat. */
export function passedTrailerFields(raw: readonly string[]): string[] {
  return passedTrailers(raw).flat();
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

/** The first value of a field. */
export function valueOf(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < fields.length; index += 2) if (fields[index] === name) return fields[index + 1];
  return undefined;
}

/** The values of all Link fields (for 103 Early Hints). */
export function linksOf(fields: readonly string[]): string[] {
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === 'link');
}
