/** A word that is typed before something goes that does not come back. */
import { hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { OrkestrError } from '../../protocol/errors.ts';

interface Confirmation {
  /** What goes, as a sentence. */
  readonly going: string;
  /** What has to be typed, and what it is. */
  readonly word: string;
  readonly called: string;
  /** How it is said without a terminal. */
  readonly plainly: string;
}

/** @throws OrkestrError ORK_INVALID when it is not confirmed, and where nobody can be asked */
export async function confirm({ going, word, called, plainly }: Confirmation): Promise<void> {
  if (!process.stdin.isTTY) throw new OrkestrError('ORK_INVALID', `${going} ${plainly}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await terminal.question(`${going} Type its ${called} to continue (${word}): `);
    if (typed.trim() !== word) throw new OrkestrError('ORK_INVALID', `That is not its ${called}. ${plainly}`);
  } finally {
    terminal.close();
  }
}

/** For all that this host has. @throws OrkestrError ORK_INVALID as {@link confirm} */
export const confirmForHost = (plainly: string): Promise<void> =>
  confirm({ going: 'This removes all apps and data from this host.', word: hostname(), called: 'name', plainly });
