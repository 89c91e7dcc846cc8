/** A port where connections are neither accepted nor refused. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const STUCK_LISTENER = fileURLToPath(new URL('stuck-listener.mjs', import.meta.url));

export async function stuckPort(t: TestContext): Promise<number> {
  const stuck = spawn(process.execPath, [STUCK_LISTENER], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    stuck.kill('SIGKILL');
    await once(stuck, 'exit');
  });
  const port = Number(String((await once(stuck.stdout, 'data'))[0]));
  // Two connections fill its queue; the kernel ignores any more.
  const fillers = [createConnection(port, '127.0.0.1'), createConnection(port, '127.0.0.1')];
  for (const socket of fillers) socket.on('error', () => undefined);
  t.after(() => fillers.forEach((socket) => socket.destroy()));
  await Promise.all(fillers.map((socket) => once(socket, 'connect')));
  return port;
}
