/** Remarks that orkestr inserts into a log as lines. */
export const appLogNotes = {
  version: (deploymentId: string, commit: string | null): string =>
    `[orkestr: from here on ${commit === null ? '' : `version ${commit.slice(0, 7)}, `}deployment ${deploymentId}]`,
  leftOut: (lines: number): string =>
    `[orkestr: ${lines.toLocaleString('en')} ${lines === 1 ? 'line' : 'lines'} left out: the reader was too slow]`,
} as const;
