/** The proxy's own answers as bytes. */
import { STATUS_CODES } from 'node:http';
import type { Answer } from '../policy/policy.ts';

/** @param isHead the body is left out, and its length said */
export function answerBytes({ status, headers, body }: Answer, date: string, close: boolean, isHead: boolean): Buffer {
  const fields = [
    'Date',
    date,
    ...headers,
    'Content-Length',
    String(Buffer.byteLength(body)),
    ...(close ? ['Connection', 'close'] : []),
  ];
  const lines = fields.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}\r\n`;
  return Buffer.from(isHead ? head : head + body);
}
