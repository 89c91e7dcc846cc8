import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from './client.ts';

const refused = (address: string): Error =>
  Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' });

test('the error for an unreachable hub names each of its addresses', () => {
  const all = Object.assign(new AggregateError([refused('192.0.2.1:443'), refused('2001:db8::1:443')]), {
    code: 'ECONNREFUSED',
  });
  const words = 'connect ECONNREFUSED 192.0.2.1:443; connect ECONNREFUSED 2001:db8::1:443';
  assert.deepEqual(unreachable('https://hub.example.com', all).evidence, [`ECONNREFUSED: ${words}`]);
  const silent = Object.assign(new Error(''), { code: 'ECONNRESET' });
  assert.deepEqual(unreachable('https://hub.example.com', silent).evidence, ['ECONNRESET']);
});
