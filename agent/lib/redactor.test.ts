import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, double, property, stringMatching } from 'fast-check';
import { makeRedactor } from './redactor.ts';

/** Feeds `text`, split at the given fractions. */
function redact(secrets: readonly string[], text: string, cuts: readonly number[] = []): string {
  const bytes = Buffer.from(text);
  const redactor = makeRedactor(secrets);
  const borders = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length];
  const out = borders.slice(1).map((to, index) => redactor.push(bytes.subarray(borders[index], to)));
  return Buffer.concat([...out, redactor.end()]).toString();
}

test('a secret is redacted wherever it occurs', () => {
  assert.equal(redact(['hunter22'], 'a hunter22 b hunter22'), 'a [redacted] b [redacted]');
});

test('values shorter than six bytes are not redacted, or every `true` in a log would be', () => {
  assert.equal(redact(['true', 'no'], 'is it true? no'), 'is it true? no');
});

test('overlapping occurrences are redacted completely, not just the first', () => {
  assert.equal(redact(['abcdefgh', 'efghijkl'], '-abcdefghijkl-'), '-[redacted]-');
  assert.equal(redact(['secret', 'secret-longer'], 'secret-longer'), '[redacted]');
});

test('ordinary output is passed on at once; only a possible start of a secret waits', () => {
  const redactor = makeRedactor(['hunter22']);
  assert.equal(redactor.push(Buffer.from('line one\n')).toString(), 'line one\n');
  assert.equal(redactor.push(Buffer.from('go hunt')).toString(), 'go ');
  assert.equal(redactor.push(Buffer.from('ing\n')).toString(), 'hunting\n');
});

test('an endless stream of an overlapping secret uses bounded memory', () => {
  const redactor = makeRedactor(['aaaaaaaa']);
  let out = 0;
  for (let index = 0; index < 200; index++) out += redactor.push(Buffer.alloc(10_000, 'a')).length;
  out += redactor.end().length;
  assert.equal(out, '[redacted]'.length);
});

const letters = stringMatching(/^[ab\n]{0,60}$/);
const cuts = array(double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

test('the output does not depend on how the stream is cut into chunks', () => {
  check(
    property(
      array(stringMatching(/^[ab\n]{6,9}$/), { minLength: 1, maxLength: 3 }),
      array(letters, { minLength: 1, maxLength: 4 }),
      cuts,
      (secrets, parts, where) => {
        const text = parts.join(secrets[0]);
        assert.equal(redact(secrets, text, where), redact(secrets, text));
      },
    ),
    { numRuns: 2000 },
  );
});

test('no secret survives in a stream, however the stream is cut into chunks', () => {
  check(
    property(stringMatching(/^[a-z0-9]{6,40}$/), letters, letters, cuts, (secret, before, after, where) => {
      const out = redact([secret], `${before} ${secret} ${after}`, where);
      assert.ok(!out.includes(secret));
      assert.equal(out, `${before} [redacted] ${after}`);
    }),
    { numRuns: 500 },
  );
});
