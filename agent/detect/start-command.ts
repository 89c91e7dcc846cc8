/** Start commands as people write them, and as a container gets them. */

/** Characters that only a shell understands. Whatever has none of them is split at blanks and run directly. */
const SHELL = /["'\\$`;&|<>()*?[\]{}~#!\n\r]/;

/** A leading `NAME=value` is shell syntax too. */
const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * The argv of a start command. Plain words run directly, so that signals reach the app; shell syntax runs by `sh -c`
 * *inside* the container (Debian's sh replaces itself by the last simple command, so signals reach that too).
 */
export function startArgv(command: string): string[] {
  const line = command.trim();
  return SHELL.test(line) || ASSIGNMENT.test(line) ? ['sh', '-c', line] : line.split(/[ \t]+/);
}
