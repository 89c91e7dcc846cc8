/** Requests for a part of a file, as by players and by downloads that are resumed: app and client settle it alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { startServing } from './engine-harness.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import { entryFor, fields, HEAD, scriptedUpstream, testBoth } from './harness.ts';
import type { Wire } from './harness.ts';

/** Long enough to be compressed, were it a whole file. */
const PART = 'part of a text '.repeat(500);
const ETAG = '"v1"';
const CONTENT_RANGE = `bytes 100-${99 + PART.length}/100000`;
const FILE = `Content-Type: text/plain\r\nETag: ${ETAG}\r\nAccept-Ranges: bytes\r\n`;
const PARTIAL = `HTTP/1.1 206 Partial Content\r\n${FILE}Content-Range: ${CONTENT_RANGE}\r\nContent-Length: ${PART.length}\r\n\r\n${PART}`;
const BEYOND = 'The file is shorter. '.repeat(500);
const UNSATISFIABLE = `HTTP/1.1 416 Range Not Satisfiable\r\nContent-Type: text/plain\r\nContent-Range: bytes */100000\r\nContent-Length: ${BEYOND.length}\r\n\r\n${BEYOND}`;

const RANGE = `bytes=100-${99 + PART.length}`;

/** Answers as an app with a file of 100,000 bytes: with a part of it, or, beyond its end, with 416. */
function file(wire: Wire): void {
  wire.socket.on(
    'data',
    (head) => void wire.send(/range: bytes=200000-/i.test(String(head)) ? UNSATISFIABLE : PARTIAL),
  );
}

for (const compression of [false, true]) {
  const how = compression ? 'with compression' : 'without compression';

  testBoth(`a range reaches the app, and 206 and 416 come back unchanged, ${how}`, async (t) => {
    const edge = await startServing(t);
    const app = await scriptedUpstream(t, file);
    edge.serve(app.port, { compression });
    const client = await edge.connect();
    const get = async (range: string, end: string): Promise<string> => {
      client.received = '';
      client.send(`GET / ${HEAD}Range: ${range}\r\nIf-Range: ${ETAG}\r\nAccept-Encoding: gzip\r\n\r\n`);
      await client.sees(end);
      return client.received;
    };
    const unchanged = (got: string, sent: string): void => {
      const [head = '', body] = sent.split('\r\n\r\n');
      for (const line of head.split('\r\n')) assert.ok(got.includes(`${line}\r\n`), `${line} in ${got.slice(0, 500)}`);
      assert.equal(got.split('\r\n\r\n')[1], body);
      assert.doesNotMatch(got, /content-encoding|transfer-encoding/i);
    };
    unchanged(await get(RANGE, PART), PARTIAL);
    const asked = fields(app.wires[0] as Wire);
    assert.deepEqual([asked.get('range'), asked.get('if-range')], [[RANGE], [ETAG]]);
    unchanged(await get('bytes=200000-', BEYOND), UNSATISFIABLE);
  });

  test(`a range is passed on over HTTP/2, too, ${how}`, async (t) => {
    const edge = await startHttp2Edge(t);
    const app = await scriptedUpstream(t, file);
    edge.plane.put(entryFor(app.port, { edge: EdgeSettings.parse({ compression }) }));
    const session = await edge.connect();
    const get = async (range: string) => ask(session, { range, 'if-range': ETAG, 'accept-encoding': 'gzip' });
    const part = await get(RANGE);
    const asked = fields(app.wires[0] as Wire);
    assert.deepEqual([asked.get('range'), asked.get('if-range')], [[RANGE], [ETAG]]);
    const { 'content-range': contentRange, 'content-length': length, etag } = part.headers;
    assert.deepEqual([part.status, contentRange, length, etag], [206, CONTENT_RANGE, String(PART.length), ETAG]);
    assert.equal(part.text, PART);
    const beyond = await get('bytes=200000-');
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */100000']);
    assert.deepEqual([beyond.headers['content-encoding'], beyond.text], [undefined, BEYOND]);
  });
}
