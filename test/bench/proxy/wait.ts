/** Waits for something that must happen soon, with a deadline. */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from './server-process.ts';

const PATIENCE_MS = 20_000;

/** Resolves with the first value that is not null. @throws Error naming `what` after 20 s, or when the server ends */
export async function until<T>(what: string, server: ServerProcess, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline;) {
    const found = await look();
    if (found !== null) return found;
    if (!server.isRunning) throw new Error(`${server.name} ended before ${what}:\n  | ${server.lastWords()}`);
    await sleep(20);
  }
  throw new Error(`${server.name}: never came to ${what}:\n  | ${server.lastWords()}`);
}

/** Resolves when the server accepts connections on all of these ports of 127.0.0.1. */
export async function untilListening(server: ServerProcess, ports: readonly number[]): Promise<void> {
  for (const port of ports) await until(`listening on ${port}`, server, async () => (await accepts(port)) || null);
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Refused: it does not listen yet.
    return false;
  } finally {
    socket.destroy();
  }
}
