/**
 * Containers get no Linux capabilities except those that their environment requests; this tells how to request them.
 */

/** What a program needs that starts as root and then switches to its own user. */
export const CHANGE_USER = ['CHOWN', 'SETGID', 'SETUID'] as const;

/** The command that gives an environment these capabilities. */
export const capabilityCommand = (names: readonly string[]): string =>
  `orkestr environment set --setting 'capabilities=${JSON.stringify(names)}'`;
