/** What a user types or pipes in. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import { Interrupted } from './exit.ts';
import type { Terminal } from './terminal.ts';

const MAX_INPUT_BYTES = 65_536;

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
  terminal.stderr.write(prompt);
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: terminal.stdin, output: unseen, terminal: true });
  try {
    return await reader.question('');
  } catch (error) {
    throw (error as Error).name === 'AbortError' ? new Interrupted() : error;
  } finally {
    reader.close();
    terminal.stderr.write('\n');
  }
}

/** A whole number of an option, e.g. `--port 3000`. */
export function integer(text: string, option: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', `${option} takes a whole number, not "${text}".`);
}
