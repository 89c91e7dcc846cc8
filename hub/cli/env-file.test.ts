import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { parseEnvFile } from './env-file.ts';

const parse = (text: string): Record<string, string> => Object.fromEntries(parseEnvFile(text, '.env'));

/** The evidence of the error. */
function problemsOf(text: string): readonly string[] {
  try {
    parseEnvFile(text, '.env');
  } catch (error) {
    if (error instanceof OrkestrError && error.code === 'ORK_INVALID') return error.evidence;
    throw error;
  }
  throw new Error('The file was accepted.');
}

test('names, values, comments and export are read as dotenv reads them', () => {
  const text = [
    '# a comment',
    '',
    'PLAIN=value',
    '  export  EXPORTED=yes',
    'SPACED = a value with blanks   # and a comment',
    'EQUALS=postgres://a:b@db/x?sslmode=require&k=v==',
    'EMPTY=',
    'EMPTY_TOO= # a comment',
    "APOSTROPHE=it's",
    'JSON={"a":"b"}',
    'DOLLAR=pa$word',
    'LAST=without a newline',
  ].join('\n');
  assert.deepEqual(parse(text), {
    PLAIN: 'value',
    EXPORTED: 'yes',
    SPACED: 'a value with blanks',
    EQUALS: 'postgres://a:b@db/x?sslmode=require&k=v==',
    EMPTY: '',
    EMPTY_TOO: '',
    APOSTROPHE: "it's",
    JSON: '{"a":"b"}',
    DOLLAR: 'pa$word',
    LAST: 'without a newline',
  });
});

test('a value in quotes may have blanks, #, the other quotes, and several lines', () => {
  const text = `A="a # b"#comment\nB='say "hi" \\n \${C}'\nC=\`both " and '\`\nD="one\ntwo"  # comment\nE='-----BEGIN\nMII=\n'\nF=""`;
  assert.deepEqual(parse(text), {
    A: 'a # b',
    B: 'say "hi" \\n ${C}',
    C: `both " and '`,
    D: 'one\ntwo',
    E: '-----BEGIN\nMII=\n',
    F: '',
  });
});

test('escapes count in double quotes only, and an unknown one stays as it is', () => {
  assert.deepEqual(
    parse(String.raw`A="1\n2\r3\t4\"5\\n6\$7\d"` + '\n' + String.raw`B='\n'` + '\n' + String.raw`C=\n`),
    {
      A: '1\n2\r3\t4"5\\n6$7\\d',
      B: '\\n',
      C: '\\n',
    },
  );
});

test('a file of Windows is read like any other, with its byte order mark', () => {
  assert.deepEqual(parse('\uFEFFA=1\r\n\r\n# c\r\nB="x\r\ny"\r\nC=3'), { A: '1', B: 'x\ny', C: '3' });
});

test('each line that cannot be used is named by its number, and nothing of it is repeated', () => {
  const secrets =
    'A=1\nsecret\n\nB="x\ny" secret\nA=secret\nC=pa#secret\nD=${secret}\nE-F=secret\n1G=secret\nexport H\nI=\0secret';
  const problems = problemsOf(secrets);
  assert.deepEqual(
    problems.map((problem) => problem.slice(0, 15)),
    [
      'line 2: not NAM',
      'line 4: there i',
      'line 6: the sam',
      'line 7: some pr',
      'line 8: ${NAME}',
      'line 9: not NAM',
      'line 10: not NA',
      'line 11: not NA',
      'line 12: the va',
    ],
  );
  assert.match(problems[2] ?? '', /as on line 1$/);
  assert.doesNotMatch(problems.join('\n'), /secret/);
});

test('a quote that nothing closes is one error, not one for each line after it', () => {
  assert.deepEqual(problemsOf('A=1\nB="x\nno name\nalso none'), [
    'line 2: the value begins with ", and nothing closes it',
  ]);
});

test('a reference counts as one where it is not escaped', () => {
  assert.deepEqual(parse(String.raw`A="\${HOME}"`), { A: '${HOME}' });
  assert.equal(problemsOf('A="${HOME}"').length, 1);
});

test('a value may have 32,768 characters', () => {
  assert.equal(parse(`A=${'x'.repeat(32_768)}`)['A']?.length, 32_768);
  assert.equal(problemsOf(`A="${'x\n'.repeat(16_385)}"`).length, 1);
});

test('many bad lines are counted rather than listed', () => {
  const problems = problemsOf('x\n'.repeat(25));
  assert.equal(problems.length, 11);
  assert.equal(problems.at(-1), 'and 15 more');
});

test('a file without a variable is refused', () => {
  assert.throws(() => parseEnvFile('# nothing\n', '.env'), /no variable in \.env/);
});

test('a JSON object of texts is read as it is, and nothing of its values is in an error', () => {
  const key = { private_key: '-----BEGIN\nabc' };
  const text = JSON.stringify({ CREDENTIALS: JSON.stringify(key), PATH_TO: 'C:\\x', PHRASE: "it's `a`!" });
  assert.deepEqual(parse(`\uFEFF ${text}`), {
    CREDENTIALS: JSON.stringify(key),
    PATH_TO: 'C:\\x',
    PHRASE: "it's `a`!",
  });
  assert.deepEqual(problemsOf('{"A": 12345, "B": "b", "1C": "c"}'), [
    '"A": not a name with a text as its value',
    '"1C": not a name with a text as its value',
  ]);
  assert.throws(() => parse('{"A": "secretvalue", }'), { message: /^\.env begins with \{ and is not JSON/ });
  assert.throws(() => parse('{}'), { message: /no variable in \.env/ });
});
