/** The proxy's own responses as bytes. */
import { STATUS_CODES } from 'node:http';
import { fieldLines } from '../http/field-list.ts';
import type { Answer } from '../http/pages.ts';

/** @param isHead leaves the body out but declares its length */
export function answerBytes({ status, headers, body }: Answer, date: string, close: boolean, isHead: boolean): Buffer {
  const fields = [
    'Date',
    date,
    ...headers,
    'Content-Length',
    String(Buffer.byteLength(body)),
    ...(close ? ['Connection', 'close'] : []),
  ];
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fieldLines(fields)}\r\n`;
  return Buffer.from(isHead ? head : head + body);
}

/** A 103 with the Link fields of the app's 103; null when it has none. @param fields alternating names and values */
export function earlyHintsBytes(fields: readonly string[]): Buffer | null {
  const links = fields.flatMap((text, index) =>
    index % 2 === 0 && text.toLowerCase() === 'link' ? ['Link', fields[index + 1] ?? ''] : [],
  );
  return links.length > 0 ? Buffer.from(`HTTP/1.1 103 Early Hints\r\n${fieldLines(links)}\r\n`, 'latin1') : null;
}
