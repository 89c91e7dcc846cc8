import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../installer/stack/stack.ts';

const FOLDER = join(ROOT, 'docs/adr');

test('docs/adr/README.md lists every decision with the number and title of its file', () => {
  const files = readdirSync(FOLDER).filter((name) => /^\d{4}-/.test(name));
  const lines = files.toSorted().map((name) => {
    const [, number = '', title = ''] = /^# (\d+)\. (.+)$/m.exec(readFileSync(join(FOLDER, name), 'utf8')) ?? [];
    assert.equal(name.slice(0, 4), number.padStart(4, '0'));
    return `- ${number} · [${title}](${name})`;
  });
  const listed = readFileSync(join(FOLDER, 'README.md'), 'utf8').split('\n');
  assert.deepEqual(
    listed.filter((line) => line.startsWith('- ')),
    lines,
  );
});
