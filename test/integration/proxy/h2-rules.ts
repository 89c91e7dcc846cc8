/** What RFC 9113, RFC 7541 and RFC 8441 allow a client to send, rule by rule, in addition to h2-protocol.test.ts. */
import { CODE, FLAG, FRAME, SETTING } from '../../../proxy/h2/wire/codes.ts';
import { block, frame, number, setting } from '../../../proxy/h2/wire/test-frames.ts';
import { GET } from './h2-frames.ts';

/** `ends`: the connection, by GOAWAY. `resets`: the stream. `answers`: this status. Others survive the last two. */
type Expected = { readonly ends: number } | { readonly resets: number } | { readonly answers: number };

export interface Rule {
  /** Section of RFC 9113, or of the RFC it names. */
  readonly section: string;
  readonly what: string;
  readonly frames: readonly Buffer[];
  /** Frames to send once stream 1 is answered. */
  readonly later?: readonly Buffer[];
  /** The stream concerned; 1 by default. */
  readonly stream?: number;
  readonly expected: Expected;
  /** What the app has received by then. */
  readonly sees?: RegExp;
}

type Field = readonly [name: string, value: string];

const END = FLAG.endStream | FLAG.endHeaders;
const MORE = FLAG.endHeaders;
const instead = (name: string, value: string): Field[] => GET.map(([one, was]) => [one, one === name ? value : was]);
const without = (name: string): Field[] => GET.filter(([one]) => one !== name);
const POST = instead(':method', 'POST');
const WEBSOCKET: readonly Field[] = [...instead(':method', 'CONNECT'), [':protocol', 'websocket']];

const head = (stream: number, fields: readonly Field[] = GET, flags = END): Buffer =>
  frame(FRAME.headers, flags, stream, block(fields));
const post = (...more: Field[]): Buffer => head(1, [...POST, ...more], MORE);
const get = (...more: Field[]): Buffer => head(1, [...GET, ...more]);
const data = (text: string | number, flags = 0, stream = 1): Buffer =>
  frame(FRAME.data, flags, stream, typeof text === 'number' ? Buffer.alloc(text, 'x') : Buffer.from(text));
const reset = (stream: number): Buffer => frame(FRAME.reset, 0, stream, number(CODE.cancel));
const update = (stream: number, increment: number): Buffer => frame(FRAME.windowUpdate, 0, stream, number(increment));
const goaway = (length: number): Buffer => frame(FRAME.goaway, 0, 0, Buffer.alloc(length));
const octets = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
/** A request with these bytes before and after its fields. */
const coded = (before: string, behind = '', stream = 1, fields: readonly Field[] = GET): Buffer =>
  frame(FRAME.headers, END, stream, Buffer.concat([octets(before), block(fields), octets(behind)]));
/** `x-kept: yes`, entered into the table; 82 is `:method: GET`, which is malformed after it. */
const KEPT = '40 06 782d6b657074 03 796573';
const settings = (...pairs: readonly (readonly [number, number])[]): Buffer =>
  frame(FRAME.settings, 0, 0, Buffer.concat(pairs.map(([id, value]) => setting(id, value))));
/** Sets the reserved bit of the stream, and undefined flags. */
function odd(one: Buffer): Buffer {
  const changed = Buffer.from(one);
  changed[4] = (changed[4] as number) | 0xc2;
  changed[5] = (changed[5] as number) | 0x80;
  return changed;
}

const ends = (section: string, what: string, code: number, ...frames: Buffer[]): Rule => {
  return { section, what, frames, expected: { ends: code } };
};
const resets = (section: string, what: string, code: number, ...frames: Buffer[]): Rule => {
  return { section, what, frames, expected: { resets: code } };
};
const answers = (section: string, what: string, status: number, ...frames: Buffer[]): Rule => {
  return { section, what, frames, expected: { answers: status } };
};

const FRAMES: readonly Rule[] = [
  answers('4.1', 'a reserved bit and undefined flags', 200, odd(frame(FRAME.headers, END, 1, block(GET)))),
  answers('4.1', 'an unknown frame type', 200, frame(0xee, 0xff, 0, Buffer.alloc(16)), get()),
  answers('4.2', 'DATA of the maximum frame size', 200, post(), data(16_384, FLAG.endStream)),
  ends('4.2', 'DATA above the maximum frame size', CODE.frameSizeError, post(), data(16_385)),
  ends(
    '4.2',
    'HEADERS above the maximum frame size',
    CODE.frameSizeError,
    frame(FRAME.headers, END, 1, Buffer.alloc(16_385)),
  ),
  ends('4.3', 'a block that ends inside a field', CODE.compressionError, coded('', '00056161')),
  ends('5.5', 'an unknown frame type inside a header block', CODE.protocolError, head(1, GET, 0), frame(0xee, 0, 1)),
  ends(
    '6.10',
    'PRIORITY inside a header block',
    CODE.protocolError,
    head(1, GET, 0),
    frame(FRAME.priority, 0, 1, Buffer.alloc(5)),
  ),
  ends('6.10', 'HEADERS inside a header block', CODE.protocolError, head(1, GET, 0), head(3)),
  ends(
    '6.10',
    'CONTINUATION after a complete header block',
    CODE.protocolError,
    post(),
    frame(FRAME.continuation, MORE, 1),
  ),
  answers('6.10', 'an empty CONTINUATION', 200, head(1, GET, FLAG.endStream), frame(FRAME.continuation, MORE, 1)),
  ends(
    '6.1',
    'padding as long as the payload',
    CODE.protocolError,
    post(),
    frame(FRAME.data, FLAG.padded, 1, Buffer.from([3, 0, 0])),
  ),
  answers(
    '6.1',
    'DATA of nothing but padding',
    200,
    post(),
    frame(FRAME.data, FLAG.padded | FLAG.endStream, 1, Buffer.from([2, 0, 0])),
  ),
  answers(
    '5.3.2',
    'a stream that depends on itself',
    200,
    frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 1, 7])),
    get(),
  ),
  ends(
    '6.5.2',
    'an ENABLE_CONNECT_PROTOCOL of neither 0 nor 1',
    CODE.protocolError,
    settings([SETTING.enableConnectProtocol, 2]),
  ),
  answers(
    '6.5.3',
    'two window sizes, of which the last counts',
    200,
    settings([SETTING.initialWindowSize, 0], [SETTING.initialWindowSize, 9]),
    get(),
  ),
  answers('6.7', 'an unsolicited PING acknowledgement', 200, frame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8)), get()),
  ends('6.8', 'a truncated GOAWAY', CODE.frameSizeError, goaway(7)),
  answers('6.8', 'GOAWAY with debug data', 200, post(), goaway(40), data('x', FLAG.endStream)),
  ends('6.9', 'a window increment of 0 with the reserved bit set', CODE.protocolError, update(0, 0x8000_0000)),
];

/** What HPACK allows (RFC 7541). */
const BLOCKS: readonly Rule[] = [
  ends('RFC 7541 2.3.3', 'index 0', CODE.compressionError, coded('', '80')),
  ends('RFC 7541 2.3.3', 'an index beyond the table', CODE.compressionError, coded('', 'be')),
  ends('RFC 7541 4.2', 'a table larger than announced', CODE.compressionError, coded('3fe21f')),
  ends('RFC 7541 4.2', 'a table size update after a field', CODE.compressionError, coded('', '20')),
  answers('RFC 7541 4.2', 'two table size updates at the start', 200, coded('203fe11f')),
  ends('RFC 7541 5.1', 'an oversized integer', CODE.compressionError, coded('', '7fffffffffffffffffff7f')),
  ends('RFC 7541 5.2', 'a string longer than its block', CODE.compressionError, coded('', '007f8001')),
  ends('RFC 7541 5.2', 'padding longer than seven bits', CODE.compressionError, coded('', '00 01 61 82 07ff')),
  ends('RFC 7541 5.2', 'padding of zeros', CODE.compressionError, coded('', '00 01 61 81 00')),
  ends('RFC 7541 5.2', 'an encoded EOS symbol', CODE.compressionError, coded('', '00 01 61 84 ffffffff')),
  {
    ...answers('4.3', 'a table entry added by a malformed request', 200, coded('', `${KEPT} 82`), coded('', 'be', 3)),
    stream: 3,
    sees: /\nx-kept: yes\n/,
  },
  {
    ...answers(
      '4.3',
      'a table entry added by late trailers',
      200,
      post(),
      update(1, 0),
      coded(KEPT, '', 1, []),
      coded('', 'be', 3),
    ),
    stream: 3,
    sees: /\nx-kept: yes\n/,
  },
  {
    ...answers(
      'RFC 7541 4.2',
      'a table size of 0 that is raised again',
      200,
      coded('', KEPT),
      coded('20 3fe11f', `${KEPT} be`, 3),
    ),
    stream: 3,
    sees: /(\nx-kept: yes){2}\n/,
  },
];

const STREAMS: readonly Rule[] = [
  ends('5.1', 'DATA on a stream that its client has reset', CODE.streamClosed, post(), reset(1), data('x')),
  ends('5.1', 'HEADERS on a stream that its client has reset', CODE.streamClosed, post(), reset(1), get()),
  ends(
    '5.1',
    'CONTINUATION on a stream that its client has reset',
    CODE.protocolError,
    post(),
    reset(1),
    frame(FRAME.continuation, MORE, 1),
  ),
  { ...ends('5.1', 'HEADERS on a stream that has ended', CODE.streamClosed, get()), later: [get()] },
  { ...ends('5.1', 'DATA on a stream that has ended', CODE.streamClosed, get()), later: [data('x')] },
  {
    ...answers('5.1', 'PRIORITY, WINDOW_UPDATE and RST_STREAM on a stream that has ended', 200, get()),
    later: [frame(FRAME.priority, 0, 1, Buffer.alloc(5)), update(1, 1), reset(1), head(3)],
    stream: 3,
  },
  ends('5.1.1', 'a stream id lower than an earlier one', CODE.protocolError, head(5), head(3)),
  ends('5.1.1', 'a stream id of the server', CODE.protocolError, head(2)),
  { ...answers('5.1.1', 'skipped stream ids', 200, head(7), head(4001)), stream: 4001 },
];

const CONTROL = [0, 10, 13] as const;
const FIELDS: readonly Rule[] = [
  ...['X-Upper', 'x y', 'x:y', 'x\x7f', 'x\0', 'caf\xe9', '', '(x)'].map((name) =>
    resets('8.2.1', `the name ${JSON.stringify(name)}`, CODE.protocolError, get([name, 'a'])),
  ),
  ...CONTROL.map((octet) =>
    resets('8.2.1', `octet ${octet} in a value`, CODE.protocolError, get(['x', `a${String.fromCharCode(octet)}b`])),
  ),
  ...[' a', 'a ', '\ta', 'a\t'].map((value) =>
    answers('8.2.1', `white space around ${JSON.stringify(value)}`, 400, get(['x', value])),
  ),
  answers('8.2.1', 'octets beyond ASCII, and an inner tab', 200, get(['x', 'caf\xe9\tau lait'])),
  answers('8.2.1', 'an empty value', 200, get(['x', ''])),
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map((name) =>
    resets('8.2.2', name, CODE.protocolError, get([name, 'x'])),
  ),
  resets('8.2.2', 'te with more than trailers', CODE.protocolError, get(['te', 'trailers, gzip'])),
  answers('8.2.2', 'te: trailers', 200, get(['te', 'trailers'])),
  {
    ...answers('8.2.3', 'split cookies', 200, get(['cookie', 'a=1'], ['cookie', 'b=2'])),
    sees: /\ncookie: a=1; b=2\n/,
  },
  resets('8.3', 'an unknown pseudo-header field', CODE.protocolError, get([':x', 'y'])),
  resets('8.3', 'a response pseudo-header field', CODE.protocolError, get([':status', '200'])),
  resets('8.3', 'a pseudo-header field after another field', CODE.protocolError, head(1, [['x', 'y'], ...GET])),
  ...GET.flatMap(([name, value]) => [
    resets('8.3', `${name} twice`, CODE.protocolError, get([name, value])),
    resets('8.3', `an empty ${name} and another`, CODE.protocolError, head(1, [[name, ''], ...GET])),
  ]),
  ...[':method', ':scheme', ':path'].map((name) =>
    resets('8.3.1', `no ${name}`, CODE.protocolError, head(1, without(name))),
  ),
  resets('8.3.1', 'an empty path', CODE.protocolError, head(1, instead(':path', ''))),
  answers('8.3.1', 'a path without a slash', 400, head(1, instead(':path', 'x'))),
  answers('8.3.1', 'an asterisk', 400, head(1, [[':method', 'OPTIONS'], ...instead(':path', '*').slice(1)])),
  answers('8.3.1', 'neither authority nor host', 400, head(1, without(':authority'))),
  answers('8.3.1', 'a host alone', 200, head(1, [...without(':authority'), ['host', 'app.test']])),
  answers('8.3.1', 'a host that differs from the authority', 400, get(['host', 'b.test'])),
  answers('8.3.1', 'an authority with a user', 400, head(1, instead(':authority', 'user@app.test'))),
  answers(
    '8.5',
    'CONNECT',
    405,
    head(1, [
      [':method', 'CONNECT'],
      [':authority', 'app.test:443'],
    ]),
  ),
  resets('8.5', 'CONNECT without an authority', CODE.protocolError, head(1, [[':method', 'CONNECT']])),
  resets('RFC 8441 4', ':protocol without CONNECT', CODE.protocolError, get([':protocol', 'websocket'])),
  ...[':scheme', ':path'].map((name) =>
    resets(
      'RFC 8441 4',
      `a protocol without ${name}`,
      CODE.protocolError,
      head(
        1,
        WEBSOCKET.filter(([one]) => one !== name),
      ),
    ),
  ),
  answers(
    'RFC 8441 4',
    'an unknown protocol',
    501,
    head(1, [...instead(':method', 'CONNECT'), [':protocol', 'x']], MORE),
  ),
];

const BODIES: readonly Rule[] = [
  resets('8.1.1', 'a content-length without a body', CODE.protocolError, get(['content-length', '1'])),
  answers('8.1.1', 'a content-length of 0 without a body', 200, get(['content-length', '0'])),
  resets(
    '8.1.1',
    'a body shorter than its content-length',
    CODE.protocolError,
    post(['content-length', '5']),
    data('1234', FLAG.endStream),
  ),
  resets(
    '8.1.1',
    'a body longer than its content-length',
    CODE.protocolError,
    post(['content-length', '5']),
    data('123456', FLAG.endStream),
  ),
  resets(
    '8.1.1',
    'a body longer than its content-length, in parts',
    CODE.protocolError,
    post(['content-length', '5']),
    data('123'),
    data('456'),
  ),
  // Nothing can be held back here, so the app may have received the request.
  {
    ...resets(
      '8.1.1',
      'a body in spite of content-length 0',
      CODE.protocolError,
      post(['content-length', '0']),
      data('1'),
    ),
    sees: /^/,
  },
  resets(
    '8.1.1',
    'trailers before the end of the content-length',
    CODE.protocolError,
    post(['content-length', '5']),
    data('123'),
    head(1, [['x', 'y']]),
  ),
  answers(
    '8.1.1',
    'a complete body, and END_STREAM in a frame of its own',
    200,
    post(['content-length', '5']),
    data('12345'),
    data('', FLAG.endStream),
  ),
  ...['+1', '1, 1', '0x1', '1.0', '', '9'.repeat(16)].map((value) =>
    resets('8.1.1', `the length ${JSON.stringify(value)}`, CODE.protocolError, post(['content-length', value])),
  ),
  resets(
    '8.1.1',
    'two content-length fields',
    CODE.protocolError,
    post(['content-length', '1'], ['content-length', '1']),
  ),
  answers('8.1', 'trailers', 200, post(), data('x'), head(1, [['x', 'y']])),
  answers('8.1', 'trailers without a body', 200, post(), head(1, [['x', 'y']])),
  resets('8.1', 'trailers without END_STREAM', CODE.protocolError, post(), head(1, [['x', 'y']], MORE)),
  resets('8.1', 'a pseudo-header field in trailers', CODE.protocolError, post(), head(1, [[':path', '/']])),
  resets('8.1', 'an upper-case name in trailers', CODE.protocolError, post(), head(1, [['X', 'y']])),
  resets('8.1', 'a connection field in trailers', CODE.protocolError, post(), head(1, [['connection', 'x']])),
  resets('8.1', 'white space around a value in trailers', CODE.protocolError, post(), head(1, [['x', 'y ']])),
];

export const RULES: readonly Rule[] = [...FRAMES, ...BLOCKS, ...STREAMS, ...FIELDS, ...BODIES];
