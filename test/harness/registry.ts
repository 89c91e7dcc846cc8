/** An image registry for a test: Debian's docker-registry with a login, in the network of the host or of a sandbox. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryLogin } from '../../protocol/job.ts';
import { freePort } from './free-port.ts';

export const LOGIN_PASSWORD = 'correct horse battery';
/** Of that password: bcrypt, as written by `htpasswd -nbB`. */
const HTPASSWD = 'ada:$2y$05$jgkWPtlrZkSRhXnzLcvvXOIqHq/7TGxJ25gy5.B0Ji5zFKGpP5caK\n';
const UP_TRIES = 400;

interface TestRegistryOptions {
  /** Folder for its images. */
  readonly folder: string;
  readonly port?: number;
  /** Network namespace in which it listens on 127.0.0.1; absent: the host's. */
  readonly namespacePath?: string;
  /** Asks for no login. */
  readonly isPublic?: boolean;
}

export class TestRegistry {
  readonly folder: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor({ folder }: TestRegistryOptions, port: number, child: ChildProcess) {
    this.folder = folder;
    this.port = port;
    this.#child = child;
  }

  static async start(options: TestRegistryOptions): Promise<TestRegistry> {
    const { folder, namespacePath, isPublic, port = await freePort() } = options;
    await mkdir(folder, { recursive: true });
    const config = join(folder, `${namespacePath === undefined ? 'host' : 'sandbox'}.json`);
    const htpasswd = join(folder, 'htpasswd');
    await writeFile(htpasswd, HTPASSWD);
    await writeFile(
      config,
      JSON.stringify({
        version: 0.1,
        log: { level: 'warn' },
        storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
        http: { addr: `127.0.0.1:${port}` },
        ...(isPublic ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
      }),
    );
    const argv = ['docker-registry', 'serve', config];
    const child =
      namespacePath === undefined
        ? spawn('docker-registry', argv.slice(1), { stdio: 'ignore' })
        : spawn('nsenter', [`--net=${namespacePath}`, '--', ...argv], { stdio: 'ignore' });
    await once(child, 'spawn');
    await untilListening(child, port);
    return new TestRegistry(options, port, child);
  }

  /** The host part of its image names. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get login(): RegistryLogin {
    return { host: this.host, username: 'ada', password: LOGIN_PASSWORD };
  }

  /** Accepts connections but does not respond while `work` runs. */
  async hang(work: () => Promise<void>): Promise<void> {
    this.#child.kill('SIGSTOP');
    try {
      await work();
    } finally {
      this.#child.kill('SIGCONT');
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Checks the table of the process's own network namespace (proc(5), /proc/pid/net/tcp; 0A: listening). */
async function untilListening({ pid }: ChildProcess, port: number): Promise<void> {
  const line = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  for (let tries = 0; ; tries += 1) {
    if ((await readFile(`/proc/${pid}/net/tcp`, 'utf8')).includes(line)) return;
    assert.ok(tries < UP_TRIES, 'the registry does not listen');
    await delay(50);
  }
}
