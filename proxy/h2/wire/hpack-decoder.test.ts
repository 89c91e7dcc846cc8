import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CODE, ConnectionError } from './codes.ts';
import { FieldBlock } from './field-block.ts';
import { FieldList, HpackDecoder } from './hpack-decoder.ts';

const LIST_BYTES = 65_536;

/** Decodes a block into lines. */
function decoded(decoder: HpackDecoder, hex: string, list = new FieldList(LIST_BYTES)): string[] {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  decoder.decode(bytes, 0, bytes.length, list);
  return Array.from({ length: list.count }, (_, index) => `${list.at(index).name}: ${list.at(index).value}`);
}

const REQUESTS = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
];
const LOCATION = 'location: https://www.example.com';
const ANSWERS = [
  [':status: 302', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', LOCATION],
  [':status: 307', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', LOCATION],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    LOCATION,
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
];
/** The response examples use a table of 256 bytes. */
const SMALL_TABLE = '3fe101';

/** RFC 7541 appendix C: consecutive blocks of one connection, and their fields. */
const EXAMPLES: Record<string, readonly (readonly [hex: string, lines: readonly string[]])[]> = {
  'C.2.1': [['400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key: custom-header']]],
  'C.2.2': [['040c2f73616d706c652f70617468', [':path: /sample/path']]],
  'C.2.3': [['100870617373776f726406736563726574', ['password: secret']]],
  'C.2.4': [['82', [':method: GET']]],
  'C.3': [
    ['828684410f7777772e6578616d706c652e636f6d', REQUESTS[0] ?? []],
    ['828684be58086e6f2d6361636865', REQUESTS[1] ?? []],
    ['828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565', REQUESTS[2] ?? []],
  ],
  'C.4': [
    ['828684418cf1e3c2e5f23a6ba0ab90f4ff', REQUESTS[0] ?? []],
    ['828684be5886a8eb10649cbf', REQUESTS[1] ?? []],
    ['828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf', REQUESTS[2] ?? []],
  ],
  'C.5': [
    [
      `${SMALL_TABLE}4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
       6e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
      ANSWERS[0] ?? [],
    ],
    ['4803333037c1c0bf', ANSWERS[1] ?? []],
    [
      `88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b
       425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31`,
      ANSWERS[2] ?? [],
    ],
  ],
  'C.6': [
    [
      `${SMALL_TABLE}488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae
       82ae43d3`,
      ANSWERS[0] ?? [],
    ],
    ['4883640effc1c0bf', ANSWERS[1] ?? []],
    [
      `88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f36
       72c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
      ANSWERS[2] ?? [],
    ],
  ],
};

test('the examples of RFC 7541 are decoded as specified', () => {
  for (const [name, blocks] of Object.entries(EXAMPLES)) {
    const decoder = new HpackDecoder();
    for (const [hex, lines] of blocks) assert.deepEqual(decoded(decoder, hex.replaceAll(/\s/g, '')), lines, name);
  }
});

const BAD: Record<string, string> = {
  'index 0': '80',
  'an index behind the static table': 'be',
  'an index of a name that is not there': '7f00 01 61',
  'a number that does not end': '7f',
  'a number beyond all bounds': '7fffffffffffffffffff7f',
  'a number of zeros without end': `7f${'80'.repeat(20)}00`,
  'a text that ends behind its block': '40 05 61',
  'a value that is missing': '40 01 61',
  'a Huffman text whose padding is too long': '40 01 61 82 07ff',
  'a Huffman text whose padding has zeros': '40 01 61 81 00',
  'the end of a Huffman text written out': '40 01 61 84 ffffffff',
  'a table that is larger than announced': '3fe21f',
  'a change of the table within a block': '82 20',
};

test('invalid HPACK blocks fail with COMPRESSION_ERROR', () => {
  for (const [name, hex] of Object.entries(BAD)) {
    const isCompression = (error: unknown): boolean =>
      error instanceof ConnectionError && error.code === CODE.compressionError;
    assert.throws(() => decoded(new HpackDecoder(), hex), isCompression, name);
  }
});

test('the dynamic table evicts its oldest fields, is emptied by an oversized one, and follows size updates', () => {
  const decoder = new HpackDecoder();
  // 64 bytes each: 32 of overhead, a name of 1, and a value of 31.
  const field = (value: string): string => `40 01 61 1f ${Buffer.from(value.padEnd(31, '.')).toString('hex')}`;
  for (let round = 0; round < 70; round += 1) decoded(decoder, field(String(round)));
  // The table of 4096 bytes holds 64 of them.
  assert.match(decoded(decoder, 'be')[0] ?? '', /^a: 69\./);
  assert.match(decoded(decoder, 'fd')[0] ?? '', /^a: 6\./);
  assert.throws(() => decoded(decoder, 'fe'));
  const small = new HpackDecoder();
  decoded(small, field('one'));
  decoded(small, field('two'));
  // A table of 64 bytes keeps one.
  assert.match(decoded(small, '3f21 be')[0] ?? '', /^a: two/);
  assert.throws(() => decoded(small, 'bf'));
  // Larger than the table.
  decoded(small, `40 01 61 22 ${'61'.repeat(34)}`);
  assert.throws(() => decoded(small, 'be'));
});

test('a list that is too large is counted but not kept, and the dynamic table stays in sync', () => {
  const decoder = new HpackDecoder();
  const list = new FieldList(1000);
  decoded(decoder, `40 01 61 7f8101 ${'62'.repeat(256)}`, list);
  assert.equal(list.isTooLarge, false);
  assert.equal(decoded(decoder, 'be'.repeat(100), list).length, 3);
  assert.equal(list.isTooLarge, true);
  assert.equal(list.bytes, 100 * 289);
  assert.equal(decoded(decoder, 'be', list).length, 1);
});

test('the fields that we encode are decoded as the same fields', () => {
  const block = new FieldBlock();
  const fields = [
    ['server', 'nginx'],
    ['set-cookie', 'a=1'],
    ['x-none', ''],
    ['www-authenticate', 'Basic'],
    ['x-long', 'v'.repeat(70_000)],
    [`x-${'n'.repeat(200)}`, 'y'],
    ['x-latin', 'caf\xe9'],
  ];
  for (const status of [200, 418, 304]) {
    block.begin(status).addAll(fields.flat());
    const head = Buffer.from('Server: nginx\r\nX-Own:own\r\n');
    block.addBytes(head, 0, 6, 8, 13);
    block.addBytes(head, 15, 20, 21, 24);
    const lines = decoded(new HpackDecoder(), block.bytes.toString('hex', 0, block.length), new FieldList(200_000));
    assert.deepEqual(lines, [
      `:status: ${status}`,
      ...fields.map((field) => field.join(': ')),
      'server: nginx',
      'x-own: own',
    ]);
  }
  // A secret that no intermediary may index (RFC 7541 section 7.1.3).
  block.begin(200).add('set-cookie', 'a=1');
  assert.equal((block.bytes[1] ?? 0) & 0xf0, 0x10);
});

test('a decoded block is not retained, since it can have 64 KiB and its connection can be idle for long', async () => {
  const decoder = new HpackDecoder();
  const read = (bytes: Buffer): WeakRef<Buffer> => {
    decoder.decode(bytes, 0, bytes.length, new FieldList(LIST_BYTES));
    return new WeakRef(bytes);
  };
  const kept = read(Buffer.from([0x82]));
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  assert.equal(kept.deref(), undefined);
  // The decoder itself was not collected.
  assert.deepEqual(decoded(decoder, '82'), [':method: GET']);
});
