/** What a user types or pipes in. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import { Interrupted } from './exit.ts';
import type { Terminal } from './terminal.ts';

const MAX_INPUT_BYTES = 65_536;
/** The parts of a paste come faster than this one after another; a person's next key does not. */
const PASTE_MS = 100;

/** All of stdin without its last newline. */
async function readStdin(terminal: Terminal): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of terminal.stdin) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > MAX_INPUT_BYTES) throw new OrkestrError('ORK_INVALID', `More than ${MAX_INPUT_BYTES} bytes on stdin.`);
    parts.push(buffer);
  }
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** A secret, which has no place in argv: typed unseen when a person sits at the terminal, else all of stdin. */
export async function readSecret(terminal: Terminal, prompt: string): Promise<string> {
  if (terminal.stdin.isTTY !== true) return readStdin(terminal);
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: terminal.stdin, output: unseen, terminal: true });
  // Only now is nothing echoed.
  terminal.stderr.write(prompt);
  let lines = 1;
  reader.on('line', () => (lines += 1));
  try {
    const line = await reader.question('');
    await endOfPaste(terminal.stdin);
    if (lines === 1 && reader.line === '') return line;
    throw new OrkestrError('ORK_INVALID', 'A multi-line value cannot be pasted here. Nothing was changed.', {
      evidence: ['Save it to a file, then run the same command with < FILE at the end.'],
    });
  } catch (error) {
    throw (error as Error).name === 'AbortError' ? new Interrupted() : error;
  } finally {
    reader.close();
    terminal.stderr.write('\n');
  }
}

/** What follows the first line of a paste is taken in too: the shell would run it, and keep it in its history. */
function endOfPaste(stdin: Terminal['stdin']): Promise<void> {
  return new Promise((resolve) => {
    const more = (): void => void quiet.refresh();
    const quiet = setTimeout(() => {
      stdin.off('data', more);
      resolve();
    }, PASTE_MS);
    stdin.on('data', more);
  });
}

/** A whole number of an option, e.g. `--port 3000`. */
export function integer(text: string, option: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', `${option} takes a whole number, not "${text}".`);
}
