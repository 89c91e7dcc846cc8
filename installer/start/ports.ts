/** Finds a free port. */
import { createServer } from 'node:net';
import { OrkestrError } from '../../protocol/errors.ts';

/** How many ports after the first are tried. */
const TRIES = 50;

export function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** @throws OrkestrError ORK_PREPARE_FAILED if none of the ports from `first` on is free */
export async function freePort(host: string, first: number): Promise<number> {
  for (let port = first; port < first + TRIES; port += 1) if (await isFree(host, port)) return port;
  throw new OrkestrError(
    'ORK_PREPARE_FAILED',
    `None of the ports ${first} to ${first + TRIES - 1} is free on ${host}.`,
  );
}
