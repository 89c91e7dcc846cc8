/** Asks a person to type a word before an irreversible removal. */
import { hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { OrkestrError } from '../../protocol/errors.ts';

interface Confirmation {
  /** What will be removed, as a sentence. */
  readonly going: string;
  /** The word to type, and what it is. */
  readonly word: string;
  readonly called: string;
  /** How to confirm without a terminal. */
  readonly plainly: string;
}

/** @throws OrkestrError ORK_INVALID if it is not confirmed, or if there is no terminal */
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

/** Confirms the removal of everything on this host. @throws OrkestrError ORK_INVALID as {@link confirm} */
export const confirmForHost = (plainly: string): Promise<void> =>
  confirm({ going: 'This removes all apps and data from this host.', word: hostname(), called: 'name', plainly });
