import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

const read = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'));

interface Binary {
  readonly command?: number;
  readonly family?: number;
  readonly addresses?: Buffer;
  readonly extensions?: Buffer;
  /** Length of the rest that the header claims; by default the true one. */
  readonly length?: number;
}

function binary({
  command = 0x21,
  family = 0x11,
  addresses,
  extensions = Buffer.alloc(0),
  length,
}: Binary = {}): Buffer {
  const head = Buffer.alloc(4);
  const body = Buffer.concat([addresses ?? ipv4('198.51.100.7', 4711), extensions]);
  head.writeUInt8(command, 0);
  head.writeUInt8(family, 1);
  head.writeUInt16BE(length ?? body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
}

/** Source and destination addresses, then their ports. */
function ipv4(source: string, port: number): Buffer {
  const bytes = Buffer.alloc(12);
  Buffer.from(source.split('.').map(Number)).copy(bytes, 0);
  bytes.writeUInt16BE(port, 8);
  return bytes;
}

function ipv6(groups: readonly number[], port: number): Buffer {
  const bytes = Buffer.alloc(36);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(group, 2 * index);
  bytes.writeUInt16BE(port, 32);
  return bytes;
}

function extension(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

test('a version 1 header names the source', () => {
  const four = 'PROXY TCP4 198.51.100.7 203.0.113.1 56324 443\r\n';
  const source = { address: '198.51.100.7', port: 56324 };
  assert.deepEqual(read(`${four}GET / HTTP/1.1\r\n`), { state: 'done', length: four.length, source });
  const six = 'PROXY TCP6 2001:DB8:0::7 2001:db8::1 1 65535\r\n';
  assert.deepEqual(read(six), { state: 'done', length: six.length, source: { address: '2001:db8::7', port: 1 } });
});

test('UNKNOWN names no source, whatever follows it', () => {
  for (const rest of ['', ' ', ' ffff:f...f:ffff ffff:f...f:ffff 65535 65535', ' rubbish\0']) {
    const header = `PROXY UNKNOWN${rest}\r\n`;
    assert.deepEqual(read(header), { state: 'done', length: header.length, source: null });
  }
});

test('version 1 is parsed as strictly as its specification requires', () => {
  const bad = [
    'TCP4 198.51.100.7 203.0.113.1 56324',
    'TCP4 198.51.100.7 203.0.113.1 56324 443 1',
    'TCP4  198.51.100.7 203.0.113.1 56324 443',
    'TCP4 198.51.100.7 203.0.113.1 56324 65536',
    'TCP4 198.51.100.7 203.0.113.1 056324 443',
    'TCP4 198.51.100.7 203.0.113.1 -1 443',
    'TCP4 198.51.100.07 203.0.113.1 56324 443',
    'TCP4 198.51.100.300 203.0.113.1 56324 443',
    'TCP4 2001:db8::7 2001:db8::1 56324 443',
    'TCP6 198.51.100.7 203.0.113.1 56324 443',
    'TCP6 fe80::1%eth0 2001:db8::1 56324 443',
    'UDP4 198.51.100.7 203.0.113.1 56324 443',
    'tcp4 198.51.100.7 203.0.113.1 56324 443',
    'UNKNOWNX',
    '',
  ];
  for (const line of bad) assert.equal(read(`PROXY ${line}\r\n`).state, 'bad', line);
  assert.equal(read('PROXY TCP4 198.51.100.7 203.0.113.1 56324 443\n\r\n').state, 'bad');
});

test('a version 1 header without an end is refused at 107 bytes', () => {
  const line = `PROXY UNKNOWN ${'f'.repeat(200)}`;
  assert.equal(read(line.slice(0, 106)).state, 'more');
  assert.equal(read(line.slice(0, 107)).state, 'bad');
  const longest = `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`;
  assert.deepEqual(read(longest), { state: 'done', length: 107, source: null });
  assert.equal(read(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`).state, 'bad');
});

test('a version 2 header names the source, and unknown extensions are skipped', () => {
  const header = binary({ extensions: extension(0xea, Buffer.from('vpce-1')) });
  const source = { address: '198.51.100.7', port: 4711 };
  assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from('GET')])), {
    state: 'done',
    length: header.length,
    source,
  });
  const six = binary({ family: 0x21, addresses: ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 80) });
  assert.deepEqual(readProxyHeader(six), { state: 'done', length: 52, source: { address: '2001:db8::7', port: 80 } });
  const mapped = binary({ family: 0x21, addresses: ipv6([0, 0, 0, 0, 0, 0xffff, 0x0102, 0x0304], 80) });
  assert.deepEqual(readProxyHeader(mapped), { state: 'done', length: 52, source: { address: '1.2.3.4', port: 80 } });
});

test('LOCAL, UNIX and datagram headers are valid and name no source', () => {
  const silent = [
    { command: 0x20, family: 0x00, addresses: Buffer.alloc(0) },
    { command: 0x20, family: 0x11, addresses: Buffer.from('anything') },
    { family: 0x00, addresses: Buffer.from('anything') },
    { family: 0x12 },
    { family: 0x31, addresses: Buffer.alloc(216) },
  ];
  for (const some of silent) {
    const header = binary(some);
    assert.deepEqual(
      readProxyHeader(header),
      { state: 'done', length: header.length, source: null },
      JSON.stringify(some),
    );
  }
});

test('version 2 is parsed as strictly as its specification requires', () => {
  const bad: Binary[] = [
    { command: 0x11 },
    { command: 0x22 },
    { command: 0x31 },
    { family: 0x13 },
    { family: 0x41 },
    { family: 0x01 },
    { addresses: Buffer.alloc(11) },
    { family: 0x21, addresses: Buffer.alloc(35) },
    { length: 4081 },
    { length: 65_535 },
    { extensions: Buffer.from([0x04]) },
    { extensions: Buffer.from([0x04, 0, 5, 1]) },
    { extensions: extension(0x03, Buffer.alloc(3)) },
    { extensions: extension(0x03, Buffer.alloc(4)) },
  ];
  for (const some of bad) assert.equal(readProxyHeader(binary(some)).state, 'bad', JSON.stringify(some));
});

test('anything other than the protocol is refused at its first wrong byte', () => {
  for (const text of ['GET / HTTP/1.1\r\n', 'PROX ', 'PROXYTCP4', '\r\n\r\n\0\r\nQUIX', '\x16\x03\x01'])
    assert.equal(read(text).state, 'bad', JSON.stringify(text));
  assert.equal(read('').state, 'more');
});

test('however its bytes are split, the header is the same and nothing after it is read', () => {
  const headers = [
    Buffer.from('PROXY TCP4 198.51.100.7 203.0.113.1 56324 443\r\n'),
    Buffer.from('PROXY UNKNOWN\r\n'),
    binary(),
    binary({ command: 0x20, family: 0, addresses: Buffer.alloc(0) }),
    binary({ family: 0x21, addresses: ipv6([1, 2, 3, 4, 5, 6, 7, 8], 9), extensions: extension(4, Buffer.alloc(30)) }),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...headers), fc.uint8Array({ maxLength: 50 }), (header, rest) => {
      const whole = Buffer.concat([header, rest]);
      const expected = readProxyHeader(header);
      assert.equal(expected.state, 'done');
      for (let length = 0; length <= whole.length; length += 1) {
        const seen = readProxyHeader(whole.subarray(0, length));
        assert.deepEqual(seen, length < header.length ? { state: 'more' } : expected);
      }
    }),
    { numRuns: 20 },
  );
});

test('no bytes make the parser throw or read beyond its limit', () => {
  const start = fc.constantFrom(
    Buffer.from('PROXY TCP4 '),
    SIGNATURE,
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11])]),
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const seen = readProxyHeader(Buffer.concat([start, rest]));
      if (seen.state !== 'done') return;
      assert.ok(seen.length <= start.length + rest.length && seen.length <= 4096);
    }),
    { numRuns: 500 },
  );
});

/** Recorded from haproxy 2.6 (`send-proxy`, `send-proxy-v2`, with `crc32c,unique-id`, and its health check). */
const HAPROXY: readonly (readonly [hex: string, source: { address: string; port: number } | null])[] = [
  [
    '50524f58592054435034203132372e302e302e31203132372e302e302e312035363739302033373737310d0a',
    { address: '127.0.0.1', port: 56790 },
  ],
  ['50524f58592054435036203a3a31203a3a312034373137382033373737310d0a', { address: '::1', port: 47178 }],
  ['0d0a0d0a000d0a515549540a2111000c7f0000017f0000018daeb69f', { address: '127.0.0.1', port: 36270 }],
  [`0d0a0d0a000d0a515549540a21210024${'0'.repeat(31)}1${'0'.repeat(31)}1cf58b69f`, { address: '::1', port: 53080 }],
  [
    '0d0a0d0a000d0a515549540a2111001e7f0000017f00000181f28685030004a9965eec0500083746303030303031',
    { address: '127.0.0.1', port: 33266 },
  ],
  ['0d0a0d0a000d0a515549540a20000007030004a9b87e8f', null],
];

test('headers sent by haproxy are accepted, and their checksum is verified', () => {
  for (const [hex, source] of HAPROXY) {
    const header = Buffer.from(hex, 'hex');
    const whole = Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]);
    assert.deepEqual(readProxyHeader(whole), { state: 'done', length: header.length, source });
  }
  const withChecksum = Buffer.from(HAPROXY[4]?.[0] ?? '', 'hex');
  // In its addresses, in the checksum itself, and in what follows it.
  for (const at of [16, 19, 24, 27, 31, 34, 38, 45]) {
    const damaged = Buffer.from(withChecksum);
    damaged.writeUInt8((damaged[at] ?? 0) ^ 1, at);
    assert.equal(readProxyHeader(damaged).state, 'bad', `byte ${at}`);
  }
});
