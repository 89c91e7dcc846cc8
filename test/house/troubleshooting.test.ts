import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHECKS } from '../../agent/doctor/checks/index.ts';
import { readSource, repositoryFiles } from './sources.ts';
import { mendForAll, TROUBLESHOOTING_FILE, troubleshootingDocument } from './troubleshooting.ts';

test('docs/troubleshooting.md lists every check of the doctor with its remedies', () => {
  assert.equal(readSource(TROUBLESHOOTING_FILE), troubleshootingDocument(), 'run: node test/house/troubleshooting.ts');
});

test('every file in agent/doctor/checks is a registered check with the name of its file', () => {
  const files = repositoryFiles()
    .map((file) => /^agent\/doctor\/checks\/([a-z-]+)\.ts$/.exec(file)?.[1])
    .filter((name) => name !== undefined && name !== 'index');
  assert.deepEqual(new Set(CHECKS.map(({ name }) => name)), new Set(files));
});

test('every problem has a sentence that describes it, and a remedy that is a command or a sentence', () => {
  const wrong = CHECKS.flatMap(({ name, problems, fix }) =>
    Object.entries(problems)
      .filter(([, { says, mend }]) => {
        const text = mendForAll(mend);
        return !/[.!]$/.test(says) || !/[.`]$/.test(text) || text.split('`').length % 2 === 0;
      })
      .map(([problem]) => `${name}/${problem}`)
      .concat(Object.values(problems).some((kind) => kind.fix) === (fix !== undefined) ? [] : [`${name}: fix`]),
  );
  assert.deepEqual(wrong, []);
});
