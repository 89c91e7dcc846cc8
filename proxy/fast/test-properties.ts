/** For tests and the fuzzer: the guarantees of the fast engine's parsers, as properties. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ChunkScanner } from '../http/chunked.ts';
import { MORE } from '../http/fields.ts';
import { rawFields, Trailers } from '../http/trailers.ts';
import { ResponseHead } from '../target/response-head.ts';
import { RequestHead } from './head.ts';
import { readResponse } from './test-llhttp.ts';
import type { ReadMessage, RequestReader } from './test-llhttp.ts';
import { chunkedBody, mutated, requestBytes, requestText, responseBytes, terminated } from './test-messages.ts';

const HEAD_BYTES = 16_384;
/** The requests at the start of the bytes that the fast engine accepts, as it parses them, and where they end. */
function taken(bytes: Buffer): { messages: ReadMessage[]; end: number } {
  const all = terminated(bytes);
  const messages: ReadMessage[] = [];
  const head = new RequestHead();
  let end = 0;
  while (end < bytes.length && head.read(all, end, bytes.length, HEAD_BYTES) === 'fast') {
    const body = bodyOf(head, all, bytes.length);
    messages.push({
      method: head.method,
      target: all.toString('latin1', head.targetStart, head.targetEnd),
      status: 0,
      fields: rawFields(all, head.fields),
      body: body.text,
      complete: typeof body.end === 'number',
    });
    // The fast engine refuses a bad body, so node's reading of it does not matter.
    if (body.end === 'bad') return { messages: messages.slice(0, -1), end };
    if (body.end === 'more') return { messages, end: bytes.length };
    ({ end } = body);
    // No request follows a handshake.
    if (head.close || head.isHandshake) break;
  }
  return { messages, end };
}

interface Body {
  readonly text: string;
  readonly end: number | 'more' | 'bad';
}

function bodyOf(head: RequestHead, all: Buffer, length: number): Body {
  if (head.framing === 'none') return { text: '', end: head.end };
  if (head.framing === 'chunked') return chunks(all, head.end, length);
  const end = head.end + head.contentLength;
  return { text: all.toString('latin1', head.end, Math.min(end, length)), end: end <= length ? end : 'more' };
}

function chunks(all: Buffer, start: number, length: number): Body {
  const scanner = new ChunkScanner();
  let text = '';
  let at = start;
  while (at < length && scanner.state !== 'end' && scanner.state !== 'bad') {
    at = scanner.step(all, at, length);
    text += all.toString('latin1', scanner.dataStart, scanner.dataEnd);
  }
  const trailers = new Trailers();
  if (scanner.state !== 'end') return { text, end: scanner.state === 'bad' ? 'bad' : 'more' };
  const trailing = trailers.read(all, at, length);
  return { text, end: trailing === 'done' ? trailers.end : trailing };
}

/**
 * llhttp reads an accepted request the same way: method, target, fields, body, and number of requests.
 * @param took receives the number of complete requests of each run
 */
export const sameToLlhttp = (reader: RequestReader, took: (messages: number) => void) =>
  fc.asyncProperty(requestBytes, async (bytes) => {
    const ours = taken(bytes);
    // Only the accepted bytes: node would read on by itself, as the general engine does.
    const theirs = await reader.read(bytes.subarray(0, ours.end));
    const whole = ours.messages.filter((message) => message.complete);
    assert.deepEqual(
      theirs.messages.filter((message) => message.complete),
      whole,
    );
    // Node may reject a request early, before it is complete.
    if (whole.length === ours.messages.length) assert.equal(theirs.error, null);
    took(whole.length);
  });

/** A head that arrives in parts is parsed the same, and not accepted before it is complete. */
export const headInParts = (head: RequestHead) =>
  fc.property(mutated(requestText, 2), (bytes) => {
    const verdict = head.read(terminated(bytes), 0, bytes.length, HEAD_BYTES);
    const after = head.end;
    for (let length = 0; length < bytes.length; length += 1) {
      const early = head.read(terminated(bytes.subarray(0, length)), 0, length, HEAD_BYTES);
      if (verdict === 'fast') assert.equal(early, length < after ? 'more' : 'fast', `${length} bytes`);
      // A head that is not accepted may be rejected at any point, but must never be accepted.
      else assert.notEqual(early, 'fast', `${length} bytes`);
    }
  });

/** A chunked body is parsed the same however it is split. */
export const chunksInParts = () =>
  fc.property(mutated(chunkedBody, 2), fc.array(fc.nat({ max: 200 }), { maxLength: 6 }), (bytes, places) => {
    const whole = scanned(bytes, []);
    assert.deepEqual(scanned(bytes, places), whole);
    const everywhere = Array.from(bytes, (_, at) => at);
    assert.deepEqual(scanned(bytes, everywhere), whole);
  });

/** Data, state and trailers of a body that arrives split at the given places. */
function scanned(bytes: Buffer, places: readonly number[]) {
  const scanner = new ChunkScanner();
  const trailers = new Trailers();
  let text = '';
  let trailing = 'more';
  let after: number | null = null;
  const cuts = [...new Set([...places.filter((place) => place < bytes.length), 0, bytes.length])].toSorted(
    (a, b) => a - b,
  );
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    const end = cuts[index + 1] ?? bytes.length;
    const part = terminated(bytes.subarray(start, end));
    let at = 0;
    while (at < part.length - 1 && scanner.state !== 'end' && scanner.state !== 'bad') {
      at = scanner.step(part, at, part.length - 1);
      text += part.toString('latin1', scanner.dataStart, scanner.dataEnd);
    }
    if (scanner.state !== 'end' || trailing !== 'more' || at >= part.length - 1) continue;
    trailing = trailers.read(part, at, part.length - 1);
    if (trailing === 'done') after = start + trailers.end;
  }
  return { state: scanner.state, text, trailing, passed: trailers.passed, after };
}

/** The kind of request that the response answers: plain, HEAD, or a WebSocket handshake. */
const request = fc.constantFrom('GET', 'HEAD', 'handshake');

/** llhttp reads an accepted response the same way: status, fields, body, and its end. */
export const answerSameToLlhttp = (took: (messages: number) => void) =>
  fc.asyncProperty(responseBytes, request, async (bytes, asked) => {
    const isHead = asked === 'HEAD';
    const ours = answer(bytes, isHead, asked === 'handshake');
    if (ours === null) return;
    const { messages, error } = await readResponse(bytes.subarray(0, ours.end), isHead ? 'HEAD' : 'GET', true);
    assert.deepEqual(messages, [ours.message]);
    assert.equal(error, null);
    took(1);
  });

/** A response head that arrives in parts is parsed the same, and not accepted before it is complete. */
export const answerInParts = (head: ResponseHead) =>
  fc.property(responseBytes, request, (bytes, asked) => {
    const [isHead, mayUpgrade] = [asked === 'HEAD', asked === 'handshake'];
    const after = head.read(terminated(bytes), 0, bytes.length, isHead, mayUpgrade);
    for (let length = 0; length < bytes.length; length += 1) {
      const early = head.read(terminated(bytes.subarray(0, length)), 0, length, isHead, mayUpgrade);
      if (after > 0) assert.equal(early, length < after ? MORE : after, `${length} bytes`);
      else assert.ok(early < 0, `${length} bytes`);
    }
  });

/** The complete final response at the start of the bytes, as the fast engine parses it. Null: none. */
function answer(bytes: Buffer, isHead: boolean, mayUpgrade: boolean): { message: ReadMessage; end: number } | null {
  const all = terminated(bytes);
  const head = new ResponseHead();
  let start = 0;
  do {
    if (head.read(all, start, bytes.length, isHead, mayUpgrade) < 0) return null;
    start = head.end;
  } while (head.isInterim && head.status !== 101);
  const body = answerBody(head, all, bytes.length);
  if (typeof body.end !== 'number') return null;
  const { status } = head;
  const message = {
    method: '',
    target: '',
    status,
    fields: rawFields(head.bytes, head.fields),
    body: body.text,
    complete: true,
  };
  return { message, end: body.end };
}

function answerBody(head: ResponseHead, all: Buffer, length: number): Body {
  if (head.framing === 'none') return { text: '', end: head.end };
  if (head.framing === 'chunked') return chunks(all, head.end, length);
  if (head.framing === 'close') return { text: all.toString('latin1', head.end, length), end: length };
  const end = head.end + head.contentLength;
  return { text: all.toString('latin1', head.end, Math.min(end, length)), end: end <= length ? end : 'more' };
}
