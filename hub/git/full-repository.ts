/** Pushes to a full repository: deletions pass, others are refused with the reason. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Commands } from './commands.ts';

const PROGRESS = '\u0002';
const RESULT = '\u0001';
const READ_OFF_MS = 10 * 60_000;
const FLUSH = '0000';

/** Whether a push consists only of deletions. What was read for that is put back into the stream. */
export async function deletesOnly(request: IncomingMessage, gone: AbortSignal): Promise<boolean> {
  const commands = new Commands();
  const seen: Buffer[] = [];
  while (!commands.isOver) {
    const chunk = request.read() as Buffer | null;
    if (chunk !== null) {
      seen.push(chunk);
      if (!commands.see(chunk)) return false;
    } else if (request.complete || !(await isReadable(request, gone))) break;
  }
  if (seen.length > 0) request.unshift(Buffer.concat(seen));
  return commands.isOver && commands.deletesOnly;
}

/**
 * Refuses a push with a git result, since git shows only the status code of other answers. First reads the whole
 * request, without which the client would not read the answer. Rejects when the rest of the request does not arrive.
 */
export async function refusePush(request: IncomingMessage, response: ServerResponse, message: string): Promise<void> {
  if (!request.complete) await once(request.resume(), 'close', { signal: AbortSignal.timeout(READ_OFF_MS) });
  response.writeHead(200, {
    'content-type': 'application/x-git-receive-pack-result',
    'cache-control': 'no-cache',
    connection: 'close',
  });
  const result = packet('unpack the repository is full\n') + FLUSH;
  response.end(packet(`${PROGRESS}${message}\n`) + packet(RESULT + result) + FLUSH);
}

/** False when the client sends no more. */
const isReadable = (request: IncomingMessage, signal: AbortSignal): Promise<boolean> =>
  once(request, 'readable', { signal }).then(
    () => true,
    () => false,
  );

/** gitprotocol-common(5): a line starts with its length. */
const packet = (text: string): string => (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text;
