/** The judges used by the suites that attack the proxy: a blind judge would find nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { StrictUpstream } from '../../fuzz/strict-upstream.ts';
import { countAnswers } from '../../smuggling/answers.ts';
import { hostGroups, readCorpus } from '../../smuggling/corpus.ts';
import { SeenRequests } from '../../smuggling/seen.ts';
import { temporaryFolder } from './harness.ts';

const PROXIED = [
  'Host: a',
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Host: a',
  'X-Real-IP: 127.0.0.1',
  'Forwarded: for=127.0.0.1',
  'X-Request-Id: 1',
];
const withFields = (...fields: readonly string[]): string => `${[...PROXIED, ...fields].join('\r\n')}\r\n\r\n`;

for (const [what, bytes] of [
  ['both framings', `POST / HTTP/1.1\r\n${withFields('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['a disguised transfer coding', `POST / HTTP/1.1\r\n${withFields('Transfer-Encoding:\tchunked')}0\r\n\r\n`],
  ['a disguised length', `POST / HTTP/1.1\r\n${withFields('Content-Length: +5')}hello`],
  ['a name with an underscore', `GET / HTTP/1.1\r\n${withFields('Content_Length: 5')}`],
  ['a bare line feed', `GET / HTTP/1.1\r\n${withFields('X: y\nZ: w')}`],
  ['a second Host', `GET / HTTP/1.1\r\n${withFields('Host: b')}`],
  ['a chunk extension', `POST / HTTP/1.1\r\n${withFields('Transfer-Encoding: chunked')}5;a\r\nhello\r\n0\r\n\r\n`],
  [
    'framing in trailers',
    `POST / HTTP/1.1\r\n${withFields('Transfer-Encoding: chunked')}0\r\nContent-Length: 5\r\n\r\n`,
  ],
  ['an absolute target', `GET http://a/ HTTP/1.1\r\n${withFields()}`],
  ['the rest of another message', 'hello\r\n\r\n'],
] as const) {
  test(`the strict upstream accepts no request with ${what}`, async (t) => {
    const seen: string[] = [];
    const upstream = await StrictUpstream.start({
      request: ({ method }) => seen.push(method),
      fault: (found) => seen.push(`fault: ${found}`),
    });
    t.after(() => upstream.close());
    const socket = createConnection(upstream.port, '127.0.0.1').on('error', () => undefined);
    socket.write(`GET /before HTTP/1.1\r\n${withFields()}${bytes}`);
    await once(socket, 'close');
    assert.equal(seen.length, 2);
    assert.equal(seen[0], 'GET');
    assert.match(seen[1] ?? '', /^fault: /);
  });
}

test('responses are counted by their origin, and interim ones are not counted', () => {
  const received = [
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 400 Bad Request\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 3\r\n\r\nbad',
  ];
  assert.deepEqual(countAnswers(received.join('')), { fromApp: 1, fromServer: 1, fromProxy: 1 });
});

test('a corpus is read unchanged, and every host that it names is routed', async (t) => {
  const folder = join(await temporaryFolder(t), 'corpus');
  await mkdir(folder);
  const bytes = Buffer.from('GET http://b.test/ HTTP/1.1\r\nhOST : A.test\r\nX: \xff\r\n\n', 'latin1');
  await writeFile(join(folder, 'x'), bytes);
  await writeFile(join(folder, 'README.md'), 'Host: c.test');
  await writeFile(join(folder, '.gitattributes'), 'Host: d.test');
  const messages = readCorpus(folder);
  assert.deepEqual(messages, [{ file: 'x', bytes }]);
  assert.deepEqual(hostGroups(messages), [['a.test', 'b.test']]);
  await writeFile(join(folder, 'y'), Array.from({ length: 60 }, (_, n) => `Host: h${n}.test\r\n`).join(''));
  assert.deepEqual(
    hostGroups(readCorpus(folder)).map(({ length }) => length),
    [50, 12],
  );
});

test('requests that an upstream logs are read once, and only as whole lines', async (t) => {
  const file = join(await temporaryFolder(t), 'seen');
  const seen = new SeenRequests(file);
  assert.deepEqual(seen.next(), []);
  await writeFile(file, 'GET /a HTTP/1.1\nPOST /b');
  assert.deepEqual(seen.next(), ['GET /a']);
  assert.deepEqual(seen.next(), []);
  await writeFile(file, ' HTTP/1.1\n', { flag: 'a' });
  assert.deepEqual(seen.next(), ['POST /b']);
});
