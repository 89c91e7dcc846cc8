/** Input that a user types or pipes in. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import { Interrupted } from './exit.ts';
import type { Terminal } from './terminal.ts';

const MAX_INPUT_BYTES = 65_536;
/** The chunks of a paste follow each other faster than this, ms; a person's next key does not. */
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

/** Read a secret, which must not be in argv: typed without echo on a terminal, else all of stdin. */
export async function readSecret(terminal: Terminal, prompt: string): Promise<string> {
  if (terminal.stdin.isTTY !== true) return readStdin(terminal);
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: terminal.stdin, output: unseen, terminal: true });
  // Prompt only now: the echo is off from here on.
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

/** Also consume the rest of a paste: otherwise the shell would run it and store it in its history. */
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

/** An option's integer value, e.g. `--port 3000`. */
export function integer(text: string, option: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', `${option} takes a whole number, not "${text}".`);
}
