/** What an app said of its end: its last error, and the last line that is more than a part of a trace. */
import { stripVTControlCharacters } from 'node:util';
import { cutText } from '../lib/cut.ts';

/** What runtimes write behind every error, and none of it says why. */
const TRACE: readonly RegExp[] = [
  /^[\s{}[\](),;^~]*$/,
  /^(?:Node\.js|Bun) v\d/,
  /^error: script ".*" exited with code \d/,
  // Frames of Node.js, the JVM, .NET and Ruby, and how many were left out.
  /^\s+(?:at|from) /,
  /^\s+\.\.\. \d+ /,
  // What hangs on an error of Node.js: `code: 'MODULE_NOT_FOUND',`, `'/app/server.js',`.
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

/** How errors begin; in Ruby they end with their class. */
const ERROR: readonly RegExp[] = [
  /^\s*(?:\[cause\]: |Caused by: |Unhandled exception\. |Uncaught )?[\w.$]*(?:Error|Exception|exceptions\.\w+)(?=:|$| \[| in thread )/,
  /^(?:panic|fatal(?: error)?|error|thread '.*panicked at .*):/i,
  /^\*\* \(/,
  /\((?:\w+::)*\w*(?:Error|Exception)\)$/,
];

const matches = (patterns: readonly RegExp[]) => (line: string) => patterns.some((pattern) => pattern.test(line));
const isError = matches(ERROR);
const isTrace = matches(TRACE);

/** @param tail last lines of its output, the newest last */
export function lastError(tail: readonly string[]): string {
  // Cut first: what an app writes may be long, and made to keep a pattern busy.
  const lines = tail.map((line) => cutText(stripVTControlCharacters(line).trimEnd(), 300));
  const written = lines.filter((line) => line !== '');
  const said = written.filter((line) => !isTrace(line));
  const error = said.findLast(isError)?.trim();
  const last = (said.at(-1) ?? written.at(-1))?.trim();
  if (last === undefined) return 'It wrote nothing.';
  if (error === undefined) return `Its last line: ${last}`;
  // An error may be an older one, that the app went on after.
  return `Its last error: ${error}${last === error ? '' : `; its last line: ${last}`}`;
}
