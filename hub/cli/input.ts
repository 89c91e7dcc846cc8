/** Input that a user types or pipes in, or has in a file. */
import { createReadStream } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Context } from './context.ts';
import { Interrupted } from './exit.ts';
import type { Terminal } from './terminal.ts';

const MAX_INPUT_BYTES = 65_536;
/** The hub accepts no larger request. */
const MAX_FILE_BYTES = 524_288;
/** The chunks of a paste follow each other faster than this, ms; a person's next key does not. */
const PASTE_MS = 100;

/** @param name what is read, for messages */
async function readAll(stream: NodeJS.ReadableStream, name: string, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > maxBytes) throw new OrkestrError('ORK_INVALID', `More than ${maxBytes} bytes in ${name}.`);
    parts.push(buffer);
  }
  return Buffer.concat(parts);
}

/** All of stdin without its last newline. */
const readStdin = async (terminal: Terminal): Promise<string> =>
  (await readAll(terminal.stdin, 'stdin', MAX_INPUT_BYTES)).toString('utf8').replace(/\r?\n$/, '');

/**
 * The text of a file, or of stdin for `-`.
 * @throws OrkestrError ORK_INVALID if it cannot be read, is not UTF-8, or is larger than 512 KiB
 */
export async function readFileOrStdin(
  { terminal, cwd }: Pick<Context, 'terminal' | 'cwd'>,
  path: string,
): Promise<string> {
  const name = path === '-' ? 'stdin' : path;
  const stream = path === '-' ? terminal.stdin : createReadStream(resolvePath(cwd, path));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readAll(stream, name, MAX_FILE_BYTES));
  } catch (error) {
    if (error instanceof OrkestrError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new OrkestrError('ORK_INVALID', `The text in ${name} is not UTF-8.`, { cause: error });
    }
    throw new OrkestrError('ORK_INVALID', `${name} cannot be read: ${code ?? String(error)}.`, { cause: error });
  }
}

/** Reads a secret, which must not be in argv: typed without echo on a terminal, else all of stdin. */
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
