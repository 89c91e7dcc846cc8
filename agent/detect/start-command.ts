/** Start commands as written by users, and as passed to a container. */

/** Characters of shell syntax. A command without any is split at blanks and run directly. */
const SHELL = /["'\\$`;&|<>()*?[\]{}~#!\n\r]/;

/** `NAME=value` before a program is shell syntax too. */
const ASSIGNMENTS = /^(?:[A-Za-z_][A-Za-z0-9_]*=(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])*(?:\s+|$))+/;

/** Words that a shell cannot `exec`, since they are not programs. */
const BUILTINS = new Set(
  '! . : { alias bg break case cd command continue do done elif else esac eval exec exit export fg fi for if jobs local read readonly return set shift source then times trap type ulimit umask unalias unset until wait while'.split(
    ' ',
  ),
);

/**
 * The argv of a start command. Plain words run directly. Shell syntax runs by `sh -c` *inside* the container, where the
 * last command replaces the shell if possible: a waiting shell would not pass SIGTERM on to the app.
 */
export function startArgv(command: string): string[] {
  const line = command.trim();
  return SHELL.test(line) || ASSIGNMENTS.test(line) ? ['sh', '-c', withExec(line)] : line.split(/[ \t]+/);
}

/** `a && b` becomes `a && exec b`. Unchanged if `b` is not a simple command at the end of a plain list. */
function withExec(line: string): string {
  const start = lastCommand(line);
  if (start === null) return line;
  const last = line.slice(start);
  const command = last.trimStart();
  const assignments = ASSIGNMENTS.exec(command)?.[0] ?? '';
  const [program = ''] = command.slice(assignments.length).split(/\s/, 1);
  if (program === '' || program.startsWith('#') || BUILTINS.has(program)) return line;
  const before = line.slice(0, start) + last.slice(0, last.length - command.length);
  // `exec` takes no assignments before the program; env(1) does.
  return `${before}exec ${assignments === '' ? '' : 'env '}${command}`;
}

/** The relevant shell syntax: escapes and quoted text as single tokens, redirections, operators. */
const TOKENS = /\\.|'[^']*'|"(?:\\.|[^"\\])*"|>&|&>|&&|\|\||[;|&()`\n\r'"]/gs;

/** Start of the last command of a list; null if the line is more than a list (pipes, `&`, subshells, open quotes). */
export function lastCommand(line: string): number | null {
  let start = 0;
  for (const { 0: token, index } of line.matchAll(TOKENS)) {
    if (token === '&&' || token === '||' || token === ';') start = index + token.length;
    else if (token.length === 1) return null;
  }
  return start;
}
