/** For tests and the fuzzer: generators of mostly valid HTTP messages, and mutations that make them hostile. */
import * as fc from 'fast-check';

/** An alternative that is `weight` times as frequent as one of weight 1. */
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const oneOf = (...values: readonly string[]) => fc.constantFrom(...values);
const letterOf = (letters: string) => fc.constantFrom(...letters.split(''));

/** Bytes on which parsers disagree. */
const ODD = fc.oneof(
  letterOf('\0\t\n\r\v\f ",;:_#0+-\x7f\x80ÿ'),
  oneOf('\r\n', '\r\n\r\n', '\n\n', '\r\n ', '0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'Content-Length: 3\r\n'),
  oneOf('Transfer-Encoding: chunked\r\n', 'chunked', '0x', 'HTTP/1.1', 'HTTP/1.0'),
);

const method = fc.oneof(
  often(12, oneOf('GET', 'POST', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')),
  often(1, oneOf('CONNECT', 'TRACE', 'get', 'G', 'PURGE', 'PRI', '')),
);
const target = fc.oneof(
  often(12, oneOf('/', '/a', '/a?b=c', '/a/b?c=/d?e', '/%2e%2e/a;b', '//a', '/..', '/~!$&()*+,;=:@|^`{}"<>')),
  often(1, oneOf('*', 'http://a/', 'a', '', '/#a', '/ a', '/ä', '/\x7f', '/\0')),
);
const version = fc.oneof(
  often(20, fc.constant('HTTP/1.1')),
  often(1, oneOf('HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', '')),
);
const token = fc.string({ unit: letterOf("aZ09-_!#$%&*+.^`|~'"), minLength: 1, maxLength: 6 });
const value = fc.string({ unit: letterOf('aZ 09\t,;="/:()<>@[]{}éÿ'), maxLength: 12 });
const space = fc.oneof(often(12, fc.constant(' ')), often(1, oneOf('', '  ', '\t', ' \t ')));
const eol = fc.oneof(often(60, fc.constant('\r\n')), often(1, oneOf('\n', '\r', '\r\r\n', '\r\n ', '')));

const line = (name: string, values: fc.Arbitrary<string>) =>
  fc
    .tuple(
      fc.oneof(
        often(6, fc.constant(name)),
        often(1, oneOf(name.toLowerCase(), name.toUpperCase(), `${name} `, name.replace('-', '_'))),
      ),
      space,
      values,
      fc.oneof(often(6, fc.constant('')), often(1, oneOf(' ', '\t'))),
      eol,
    )
    .map(([field, before, text, after, end]) => `${field}:${before}${text}${after}${end}`);

const FRAMING_FIELDS = fc.oneof(
  line('Content-Length', oneOf('0', '1', '5', '05', '+5', '5,5', '0x5', '5 5', '-1', '', '99999999999999999999')),
  line(
    'Transfer-Encoding',
    oneOf('chunked', 'Chunked', 'identity', 'gzip, chunked', 'chunked, chunked', ',chunked', 'xchunked', ''),
  ),
);
const COMMON_FIELDS = fc.oneof(
  line('Connection', oneOf('keep-alive', 'close', 'Keep-Alive', 'close, x', 'Host', 'Content-Length', 'upgrade', '')),
  line('X-Request-Id', value),
  line('X-Forwarded-For', value),
  line('Forwarded', value),
  line('__proto__', value),
);
const REQUEST_FIELDS = fc.oneof(
  line('Expect', oneOf('100-continue', 'x')),
  line('TE', oneOf('trailers', 'chunked')),
  line('Upgrade', oneOf('websocket', 'h2c')),
  line('Host', oneOf('a', 'a:80', 'b', '', 'a b', 'a@b')),
);
const RESPONSE_FIELDS = fc.oneof(
  line('Keep-Alive', oneOf('timeout=5', 'timeout=5, max=3', 'max=3', 'timeout=')),
  line('Content-Type', oneOf('text/plain', 'text/event-stream', 'text/event-stream; charset=utf-8')),
  line('Trailer', value),
  line('Set-Cookie', value),
);
const ANY_FIELD = fc
  .tuple(token, space, value, eol)
  .map(([name, before, text, end]) => `${name}:${before}${text}${end}`);

const extension = fc.string({ unit: letterOf('a;;="\\ \t'), maxLength: 12 }).map((text) => `;a${text}`);
const chunk = fc
  .tuple(
    fc.string({ unit: letterOf('xyz\r\n0'), minLength: 1, maxLength: 20 }),
    fc.oneof(
      often(20, fc.constant('')),
      often(1, oneOf(';a', ';a=b', ' ', ';a="b"', ';\n', ' ;a', '\t')),
      often(1, extension),
    ),
    fc.oneof(often(12, fc.constant('')), often(1, oneOf('0', '000', '0x', '+'))),
    fc.boolean(),
    eol,
    eol,
  )
  .map(([data, extension, prefix, upper, first, second]) => {
    const size = data.length.toString(16);
    return `${prefix}${upper ? size.toUpperCase() : size}${extension}${first}${data}${second}`;
  });
const trailers = fc.oneof(often(6, fc.constant('')), often(1, ANY_FIELD), often(1, FRAMING_FIELDS));
const lastChunk = fc
  .tuple(fc.oneof(often(12, fc.constant('0')), often(1, oneOf('00', '-0', '0;a'))), eol, trailers, eol)
  .map((parts) => parts.join(''));
export const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), lastChunk)
  .map(([chunks, last]) => chunks.join('') + last);

/** A framing field and a body that fits it, mostly. */
const framing = fc.oneof(
  often(4, fc.constant(['', ''] as const)),
  often(
    4,
    fc
      .string({ unit: letterOf('xyz\r\n'), maxLength: 30 })
      .map((body) => [`Content-Length: ${body.length}\r\n`, body] as const),
  ),
  often(
    4,
    chunkedBody.map((body) => ['Transfer-Encoding: chunked\r\n', body] as const),
  ),
  often(1, fc.tuple(FRAMING_FIELDS, chunkedBody)),
  often(
    1,
    fc.tuple(
      fc.tuple(FRAMING_FIELDS, FRAMING_FIELDS).map((lines) => lines.join('')),
      chunkedBody,
    ),
  ),
);

const sections = (own: fc.Arbitrary<string>) =>
  fc
    .tuple(
      fc.array(fc.oneof(often(6, ANY_FIELD), often(2, COMMON_FIELDS), often(1, own)), { maxLength: 4 }),
      framing,
      fc.nat(),
      fc.oneof(often(30, fc.constant('\r\n')), often(1, oneOf('\n', '\r', '', ' \r\n'))),
    )
    .map(([fields, [frame, body], at, end]) => {
      const all = fields.toSpliced(at % (fields.length + 1), 0, frame);
      return `${all.join('')}${end}${body}`;
    });

const host = fc.oneof(
  often(20, fc.constant('Host: a\r\n')),
  often(1, oneOf('', 'Host: a\r\nHost: a\r\n', 'Host:\r\n', 'host:a\r\n')),
);

/** Fields that ask for a WebSocket or accept one, mostly valid. */
const upgrade = fc
  .tuple(
    fc.oneof(
      often(6, oneOf('Upgrade', 'upgrade', 'keep-alive, Upgrade')),
      often(1, oneOf('upgrade, close', 'keep-alive', 'x, upgrade', 'upgrade,', 'upgrade upgrade')),
    ),
    fc.oneof(often(6, oneOf('websocket', 'WebSocket')), often(1, oneOf('h2c', 'websocket, h2c', ''))),
  )
  .map(([connection, protocol]) => `Connection: ${connection}\r\nUpgrade: ${protocol}\r\n`);
const handshake = fc
  .tuple(
    upgrade,
    fc.oneof(often(6, fc.constant('x3JJHMbDL1EzLkh9GBhXDw==')), often(1, oneOf('x', ''))),
    oneOf('13', '8'),
  )
  .map(([fields, key, kind]) => `${fields}Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: ${kind}\r\n`);

/** One request, mostly valid. */
export const requestText = fc.oneof(
  often(
    6,
    fc
      .tuple(method, target, version, eol, host, sections(REQUEST_FIELDS))
      .map(([name, where, which, end, hostLine, rest]) => `${name} ${where} ${which}${end}${hostLine}${rest}`),
  ),
  often(
    1,
    fc
      .tuple(target, host, handshake, sections(REQUEST_FIELDS))
      .map(([where, hostLine, fields, rest]) => `GET ${where} HTTP/1.1\r\n${hostLine}${fields}${rest}`),
  ),
);

/** One response, mostly valid. */
const plainResponse = fc
  .tuple(
    fc.oneof(often(12, fc.constant('HTTP/1.1')), often(1, oneOf('HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', ''))),
    fc.oneof(
      often(12, oneOf('200', '204', '304', '404', '500', '100', '101', '103')),
      often(1, oneOf('000', '99', '600', '2000', '2x0', '')),
    ),
    fc.oneof(often(12, oneOf(' OK', '', ' ', ' Not  Found')), often(1, oneOf(' \0', ' é', '\t', '  '))),
    eol,
    sections(RESPONSE_FIELDS),
  )
  .map(([which, status, reason, end, rest]) => `${which} ${status}${reason}${end}${rest}`);
const switchText = fc
  .tuple(upgrade, sections(RESPONSE_FIELDS))
  .map(([fields, rest]) => `HTTP/1.1 101 Switching Protocols\r\n${fields}${rest}`);
const responseText = fc.oneof(often(8, plainResponse), often(1, switchText));

const interimText = fc
  .tuple(oneOf('100 Continue', '103 Early Hints'), fc.array(fc.oneof(ANY_FIELD, COMMON_FIELDS), { maxLength: 2 }))
  .map(([status, fields]) => `HTTP/1.1 ${status}\r\n${fields.join('')}\r\n`);

/** A change; `place` is a fraction of the length. */
const mutation = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.nat({ max: 3 }),
  inserted: fc.oneof(ODD, fc.constant('')),
});

/** The text as bytes, unchanged or with up to `most` mutations. */
export const mutated = (text: fc.Arbitrary<string>, most: number): fc.Arbitrary<Buffer> =>
  fc
    .tuple(text, fc.oneof(often(1, fc.constant([])), often(1, fc.array(mutation, { maxLength: most }))))
    .map(([start, changes]) => {
      const changed = changes.reduce((before, { place, removed, inserted }) => {
        const at = Math.floor(place * before.length);
        return before.slice(0, at) + inserted + before.slice(at + removed);
      }, start);
      return Buffer.from(changed, 'latin1');
    });

/** Pipelined requests. */
export const requestBytes = mutated(
  fc.array(requestText, { minLength: 1, maxLength: 3 }).map((texts) => texts.join('')),
  3,
);
/** A response, now and then after an interim one. */
export const responseBytes = mutated(
  fc.tuple(fc.oneof(often(8, fc.constant('')), often(1, interimText)), responseText).map((texts) => texts.join('')),
  3,
);

/** The bytes followed by a NUL, as the parsers need them. */
export function terminated(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}
