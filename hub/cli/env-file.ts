/**
 * Parses a `.env` file. Readers of such files differ, so what they read differently is an error here, with its line:
 * Node's own parser, for one, cuts `pa#ss` at the `#`, and skips lines that it does not understand.
 */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { EnvName, EnvValue } from '../../protocol/ids.ts';

const BLANK_LINE = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
const NAME = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=/y;
const REST_OF_LINE = /[^\n]*(?:\n|$)/y;
const QUOTE = /[ \t]*(["'`])/y;
/** Each may span lines. Only in double quotes is there a backslash that means something. */
const QUOTED: Readonly<Record<string, RegExp>> = {
  '"': /[ \t]*"((?:\\[^]|[^"\\])*)"/y,
  "'": /[ \t]*'([^']*)'/y,
  '`': /[ \t]*`([^`]*)`/y,
};
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$' };
const REFERENCE = /\$\{[A-Za-z_]/;
/** Lines that are reported at once. */
const MAX_PROBLEMS = 10;

/** A line that cannot be used. The reason repeats nothing of the file: it may be a secret. */
class LineProblem extends Error {}

const JsonVariables = z.record(EnvName, EnvValue);

/**
 * Name → value, in the order of the file. A text that begins with `{` is a JSON object of texts, as `heroku config
 * --json` prints it: quotes in a `.env` mean different things to the programs that write them.
 * @param source the file's name, for messages
 * @throws OrkestrError ORK_INVALID with the numbers of the lines that cannot be used
 */
export function parseEnvFile(text: string, source: string): Map<string, string> {
  if (/^\uFEFF?\s*\{/.test(text)) return parseJson(text.replace(/^\uFEFF/, ''), source);
  const scanner = new Scanner(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  const variables = new Map<string, string>();
  const lineOf = new Map<string, number>();
  const problems: string[] = [];
  while (!scanner.atEnd()) {
    if (scanner.take(BLANK_LINE) !== null) continue;
    const { line } = scanner;
    try {
      const name = readName(scanner);
      const value = readValue(scanner);
      const first = lineOf.get(name);
      if (first !== undefined) throw new LineProblem(`the same name as on line ${first}`);
      lineOf.set(name, line);
      variables.set(name, value);
    } catch (error) {
      if (!(error instanceof LineProblem)) throw error;
      problems.push(`line ${line}: ${error.message}`);
    }
  }
  if (problems.length > 0) throw unusable(source, problems);
  return someOf(variables, source);
}

/** The messages of the parser would repeat the text, which is secret. */
function parseJson(text: string, source: string): Map<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OrkestrError('ORK_INVALID', `${source} begins with { and is not JSON. Nothing was changed.`);
  }
  const { data, error } = JsonVariables.safeParse(json);
  if (data !== undefined) return someOf(new Map(Object.entries(data)), source);
  const wrong = error.issues.map(({ path: [name] }) => `${JSON.stringify(name)}: not a name with a text as its value`);
  throw unusable(source, wrong);
}

function someOf(variables: Map<string, string>, source: string): Map<string, string> {
  if (variables.size === 0) throw new OrkestrError('ORK_INVALID', `There is no variable in ${source}.`);
  return variables;
}

function readName(scanner: Scanner): string {
  const [, name] = scanner.take(NAME) ?? [];
  if (name !== undefined && EnvName.safeParse(name).success) return name;
  scanner.take(REST_OF_LINE);
  throw new LineProblem('not NAME=VALUE. A value with several lines must be in quotes');
}

/** Consumes the line on which the value ends, also when it throws. */
function readValue(scanner: Scanner): string {
  const quote = scanner.next(QUOTE)?.[1];
  const value = quote === undefined ? readPlain(scanner) : readQuoted(scanner, quote);
  if (EnvValue.safeParse(value).success) return value;
  throw new LineProblem('the value is longer than 32,768 characters, or has a NUL character');
}

function readQuoted(scanner: Scanner, quote: string): string {
  const [, inside] = scanner.take(QUOTED[quote] ?? REST_OF_LINE) ?? [];
  if (inside === undefined) {
    // Everything after it would be read wrongly, too.
    scanner.toEnd();
    throw new LineProblem(`the value begins with ${quote}, and nothing closes it`);
  }
  if (scanner.take(BLANK_LINE) === null) {
    scanner.take(REST_OF_LINE);
    throw new LineProblem(`there is text after the closing ${quote}`);
  }
  if (quote !== '"') return inside;
  refuseReferences(inside.replaceAll(/\\[^]/g, ''));
  return inside.replaceAll(/\\([^])/g, (both, escaped: string) => ESCAPES[escaped] ?? both);
}

function readPlain(scanner: Scanner): string {
  const line = scanner.take(REST_OF_LINE)?.[0] ?? '';
  const value = line.replace(/[ \t]#[^\n]*/, '');
  if (value.includes('#')) {
    throw new LineProblem('some programs read a # without a blank before it as a comment. Put the value in quotes');
  }
  refuseReferences(value);
  return value.trim();
}

function refuseReferences(value: string): void {
  if (!REFERENCE.test(value)) return;
  throw new LineProblem(
    '${NAME} is not replaced. Write the value out, or put it in single quotes if it is meant literally',
  );
}

function unusable(source: string, problems: readonly string[]): OrkestrError {
  const more = problems.length - MAX_PROBLEMS;
  const evidence = [...problems.slice(0, MAX_PROBLEMS), ...(more > 0 ? [`and ${more} more`] : [])];
  return new OrkestrError('ORK_INVALID', `Parts of ${source} cannot be used. Nothing was changed.`, { evidence });
}

/** A position in a text. Patterns must be sticky. */
class Scanner {
  readonly #text: string;
  #at = 0;
  /** Number of the line, from 1. */
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  /** The match at the position, or null. Moves behind it. */
  take(pattern: RegExp): RegExpExecArray | null {
    const match = this.next(pattern);
    if (match === null) return null;
    this.#at += match[0].length;
    this.#line += match[0].split('\n').length - 1;
    return match;
  }

  /** The match at the position, or null. */
  next(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  toEnd(): void {
    this.#at = this.#text.length;
  }

  get line(): number {
    return this.#line;
  }
}
