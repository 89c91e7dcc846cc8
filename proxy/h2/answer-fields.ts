/** Encodes the fields of an app's response for an HTTP/2 client. */
import { ascii, isText } from '../http/bytes.ts';
import type { ResponseHead } from '../target/response-head.ts';
import type { FieldBlock } from './wire/field-block.ts';

const TRANSFER_ENCODING = ascii('transfer-encoding');

/** Adds the fields of an HTTP/1.1 response head, without the lines that it has marked as cut. */
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
