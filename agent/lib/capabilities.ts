/** Containers get no Linux capabilities but those that their environment asks for: how it does. */

/** What a program needs that starts as root, and goes on as a user of its own. */
export const CHANGE_USER = ['CHOWN', 'SETGID', 'SETUID'] as const;

/** The command that gives an environment these capabilities. */
export const capabilityCommand = (names: readonly string[]): string =>
  `orkestr environment set --setting 'capabilities=${JSON.stringify(names)}'`;
