import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { makeLineRenderer } from './line-html.ts';

const { html } = makeLineRenderer();

test('colours become classes, which the content security policy allows', () => {
  assert.equal(html('\u001b[32mok\u001b[0m done'), '<span class="ansi-green-fg">ok</span> done');
});

test('true colours and weights become data-style, never a style attribute', () => {
  const line = html('\u001b[1;38;2;1;2;3mbold\u001b[0m');
  assert.match(line, /data-style="[^"]*color:rgb\(1,2,3\)"/);
  assert.doesNotMatch(line, / style=/);
});

test('markup, links and attributes in a log are shown as text', () => {
  assert.equal(html('<img src=x onerror="a()">'), '&lt;img src=x onerror=&quot;a()&quot;&gt;');
  assert.equal(html('\u001b]8;;javascript:a()\u001b\\click\u001b]8;;\u001b\\'), 'click');
  assert.equal(html('a style="color:red"'), 'a style=&quot;color:red&quot;');
});

test('a colour does not continue on the next line', () => {
  html('\u001b[31mred without end');
  assert.equal(html('plain'), 'plain');
});

test('no log line produces an element other than span', () => {
  const piece = fc.constantFrom(
    '<script>',
    '"',
    "'",
    '&',
    '\u001b[',
    '31m',
    '\u001b]8;;',
    'http://x',
    '\u001b\\',
    '>',
    'a',
    ';',
    '38;5;200m',
    '\u0007',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const tags = html(pieces.join('')).match(/<[^>]*>/g) ?? [];
      for (const tag of tags) assert.match(tag, /^<(?:\/span|span(?: (?:class|data-style)="[a-z0-9:;(), -]*")*)>$/);
    }),
    { numRuns: 1000 },
  );
});
