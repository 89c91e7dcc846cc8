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
