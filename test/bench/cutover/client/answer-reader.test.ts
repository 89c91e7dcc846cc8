import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerReader } from './answer-reader.ts';

/** What the reader reports of a response whose bytes arrive in two parts. */
function told(bytes: Buffer, split: number, isHead = false): { said: string; reader: AnswerReader } {
  let said = '';
  const reader = new AnswerReader(isHead, {
    head: (status, headers) => (said += `${status} ${String(headers['x-version'])};`),
    data: (part) => ((said += part.toString('latin1')), 1),
    end: () => assert.fail('that is the connection’s to say'),
    error: (error) => assert.fail(error),
  });
  for (const part of [bytes.subarray(0, split), bytes.subarray(split)]) if (part.length > 0) reader.read(part);
  return { said, reader };
}

const HEAD = 'HTTP/1.1 200 OK\r\nX-Version: 7\r\n';

test('a response is read the same wherever its bytes are split', () => {
  const answers: [string, string, boolean][] = [
    [`${HEAD}Content-Length: 5\r\n\r\nhello`, '200 7;hello', true],
    [`${HEAD}Content-Length: 0\r\n\r\n`, '200 7;', true],
    [`HTTP/1.1 204 No Content\r\nX-Version: 7\r\n\r\n`, '204 7;', true],
    [`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nA\r\nlo, world!\r\n0\r\n\r\n`, '200 7;hello, world!', true],
    [`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HEAD}Content-Length: 1\r\n\r\n!`, '200 7;!', true],
    [`${HEAD}\r\nuntil the end`, '200 7;until the end', false],
  ];
  for (const [text, expected, isDone] of answers) {
    const bytes = Buffer.from(text, 'latin1');
    for (let split = 0; split <= bytes.length; split += 1) {
      const { said, reader } = told(bytes, split);
      assert.deepEqual([said, reader.isDone], [expected, isDone], `${JSON.stringify(text)} split at ${split}`);
      assert.equal(reader.endsWithConnection, !isDone);
    }
  }
});

test('a response to HEAD has no body, and after Connection: close the connection is not kept', () => {
  const { said, reader } = told(Buffer.from(`${HEAD}Content-Length: 5\r\nConnection: close\r\n\r\n`), 0, true);
  assert.deepEqual([said, reader.isDone, reader.keepAlive], ['200 7;', true, false]);
});

test('bytes that are not a response, or more than one, are reported', () => {
  for (const [text, why] of [
    ['SSH-2.0-x\r\n\r\n', /no status line/],
    [`${HEAD}Transfer-Encoding: chunked\r\n\r\nfive\r\n`, /no size of a chunk/],
    [`${HEAD}Content-Length: 1\r\n\r\n!${HEAD}`, /bytes behind an answer/],
  ] as const) {
    assert.throws(() => told(Buffer.from(text), 0), why, text);
  }
});
