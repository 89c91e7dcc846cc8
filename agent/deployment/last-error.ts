/** Why an app ended, in its own words: its last error, and its last line that is not part of a trace. */
import { stripVTControlCharacters } from 'node:util';
import { cutText } from '../lib/cut.ts';

/** Lines that runtimes print after every error and that do not say why. */
const TRACE: readonly RegExp[] = [
  /^[\s{}[\](),;^~]*$/,
  /^(?:Node\.js|Bun) v\d/,
  /^error: script ".*" exited with code \d/,
  // Stack frames of Node.js, the JVM, .NET and Ruby, and the number of frames left out.
  /^\s+(?:at|from) /,
  /^\s+\.\.\. \d+ /,
  // Properties that Node.js prints with an error: `code: 'MODULE_NOT_FOUND',`, `'/app/server.js',`.
  /^\s+(?:\w+|\[errors\]): /,
  /^\s+'[^']*',?$/,
  /^(?:Require stack:|- \/.*|Emitted 'error' event .*)$/,
  // Go
  /^(?:goroutine \d+ |created by |exit status \d|\[signal SIG)/,
  /^[\w./]+\.\S+\(.*\)$/,
  /^\t\S+\.go:\d+/,
  // Rust
  /^note: run with `RUST_BACKTRACE/,
];

/** How error lines begin; in Ruby they end with the class. */
const ERROR: readonly RegExp[] = [
  /^\s*(?:\[cause\]: |Caused by: |Unhandled exception\. |Uncaught )?[\w.$]*(?:Error|Exception|exceptions\.\w+)(?=:|$| \[| in thread )/,
  /^(?:panic|fatal(?: error)?|error|thread '.*panicked at .*):/i,
  /^\*\* \(/,
  /\((?:\w+::)*\w*(?:Error|Exception)\)$/,
];

const matches = (patterns: readonly RegExp[]) => (line: string) => patterns.some((pattern) => pattern.test(line));
const isError = matches(ERROR);
const isTrace = matches(TRACE);

/** @param tail last lines of its output, newest last */
export function lastError(tail: readonly string[]): string {
  // Cut first: an app may print lines that are long and made to keep a pattern busy.
  const lines = tail.map((line) => cutText(stripVTControlCharacters(line).trimEnd(), 300));
  const written = lines.filter((line) => line !== '');
  const said = written.filter((line) => !isTrace(line));
  const error = said.findLast(isError)?.trim();
  const last = (said.at(-1) ?? written.at(-1))?.trim();
  if (last === undefined) return 'It wrote nothing.';
  if (error === undefined) return `Its last line: ${last}`;
  // The error may be an older one that the app survived.
  return `Its last error: ${error}${last === error ? '' : `; its last line: ${last}`}`;
}
