/** A proxy on a socket that outlives it, restarted the moment it ends: it stands in for systemd. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { BoundSocket, createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ALLOCATOR } from '../../../installer/stack/allocator.ts';
import { proxyArgv, ROOT } from '../../../installer/stack/stack.ts';

const LOOK_MS = 5;
const LAUNCHER = join(ROOT, 'test/integration/proxy/activated.sh');

export class Activated implements AsyncDisposable {
  readonly port: number;
  readonly #socket: BoundSocket;
  readonly #folder: string;
  #child: ChildProcess;

  private constructor(socket: BoundSocket, folder: string) {
    this.#socket = socket;
    this.#folder = folder;
    this.port = socket.address().port;
    this.#child = this.#spawn();
  }

  /** Resolves when it serves. @param folder with the state of the proxy, as test/harness/edge-process.ts leaves it */
  static async start(folder: string): Promise<Activated> {
    const activated = new Activated(new BoundSocket({ host: '127.0.0.1' }), folder);
    // The socket refuses connections until a process has listened on it for the first time.
    while (!(await activated.#listens())) await sleep(LOOK_MS);
    return activated;
  }

  /** Resolves when the new process is started, not when it serves. */
  async killAndRestart(): Promise<void> {
    await this.#kill();
    this.#child = this.#spawn();
    await once(this.#child, 'spawn');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
    this.#socket.close();
  }

  async #listens(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error('the proxy does not start');
    const socket = createConnection(this.port, '127.0.0.1');
    // `once` rejects if an error comes instead.
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    return connected;
  }

  async #kill(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  #spawn(): ChildProcess {
    return spawn('/bin/sh', [LAUNCHER, ...proxyArgv(), 'serve'], {
      env: {
        ...ALLOCATOR,
        ORKESTR_PROXY_SOCKET: join(this.#folder, 'admin.sock'),
        ORKESTR_PROXY_STATE: join(this.#folder, 'state'),
        ORKESTR_LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'ignore', 'inherit', this.#socket.fd()],
    });
  }
}
