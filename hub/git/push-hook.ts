/**
 * Notifies the hub of pushes that have landed. git runs our post-receive hook (githooks(5)), which sends the updated
 * refs to the hub over a Unix socket and prints the answer for the pusher.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from '../../protocol/service/logger.ts';
import type { MissedPushes } from './missed-pushes.ts';
import { parseUpdate, publicReason, type Push, type RefUpdate } from './push.ts';

/** Returns the lines to print for the pusher. */
type OnPush = (push: Push, updates: readonly RefUpdate[]) => Promise<readonly string[]>;

/** Longest usable socket path: sun_path has 108 bytes (unix(7)), less room for the name. */
const MAX_PATH_BYTES = 100;
const MAX_MESSAGE_BYTES = 1_048_576;
const SILENCE_MS = 30_000;
/** Marks the end of an answer. Without it the hook knows that the hub died, or started after its push began. */
const HEARD = '\0';

export class PushHook {
  readonly #pushes = new Map<string, Push>();
  readonly #hooksFolder: string;
  readonly #onPush: OnPush;
  readonly #missed: Pick<MissedPushes, 'folder'>;
  readonly #log: Logger;
  readonly #server: Server;
  #socketPath = '';

  constructor(options: {
    readonly hooksFolder: string;
    readonly onPush: OnPush;
    readonly missed: Pick<MissedPushes, 'folder'>;
    readonly log: Logger;
  }) {
    this.#hooksFolder = options.hooksFolder;
    this.#onPush = options.onPush;
    this.#missed = options.missed;
    this.#log = options.log;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  async start(): Promise<void> {
    await writeHook(this.#hooksFolder);
    this.#socketPath = await socketPath(this.#hooksFolder);
    await rm(this.#socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(this.#socketPath, resolve);
    });
    await chmod(this.#socketPath, 0o600);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (!this.#socketPath.startsWith(dirname(this.#hooksFolder))) {
      await rm(dirname(this.#socketPath), { recursive: true, force: true });
    }
  }

  /** Runs `work` with the environment variables that identify this push's hook. */
  async during<T>(push: Push, work: (env: Record<string, string>) => Promise<T>): Promise<T> {
    const secret = randomBytes(32).toString('base64url');
    this.#pushes.set(secret, push);
    try {
      return await work({
        ORKESTR_PUSH_SOCKET: this.#socketPath,
        ORKESTR_PUSH_SECRET: secret,
        ORKESTR_PUSH_MISSED: this.#missed.folder,
        ORKESTR_PUSH_OF: `${push.projectId} ${push.userId}`,
      });
    } finally {
      this.#pushes.delete(secret);
    }
  }

  #serve(socket: Socket): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    socket.on('error', (error) => this.#log.info({ err: error }, 'push hook connection'));
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_MESSAGE_BYTES) socket.destroy();
      else chunks.push(chunk);
    });
    socket.on('end', () => {
      this.#answer(Buffer.concat(chunks).toString('utf8')).then(
        (lines) => socket.end(lines === undefined ? '' : lines.map((line) => `${line}\n`).join('') + HEARD),
        (error: unknown) => {
          this.#log.error({ err: error }, 'a push could not be taken up');
          // Pushing the same commit again would not move the branch, so it would not deploy either.
          socket.end(
            `orkestr: the push is stored, but it could not be deployed: ${publicReason(error)}\nonce that is fixed, run: orkestr deploy\n${HEARD}`,
          );
        },
      );
    });
  }

  /** Undefined for a push that this hub does not know. */
  async #answer(message: string): Promise<readonly string[] | undefined> {
    const [secret = '', ...lines] = message.split('\n');
    const push = this.#pushes.get(secret);
    if (push === undefined) return undefined;
    return this.#onPush(
      push,
      lines.map(parseUpdate).filter((update) => update !== undefined),
    );
  }
}

/** Plain CommonJS, so that any path and file name works. Its exit code does not matter: the push has landed. */
const HOOK_PROGRAM = `const { connect } = require('node:net');
const { randomUUID } = require('node:crypto');
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { ORKESTR_PUSH_SOCKET, ORKESTR_PUSH_SECRET, ORKESTR_PUSH_MISSED, ORKESTR_PUSH_OF } = process.env;
const updates = readFileSync(0, 'utf8');
let answer = '';
const socket = connect(ORKESTR_PUSH_SOCKET, () => socket.end(ORKESTR_PUSH_SECRET + '\\n' + updates));
socket.setEncoding('utf8').on('data', (text) => (answer += text));
socket.on('error', () => undefined); // what was not heard is told below
socket.on('close', () => {
  if (answer.endsWith('\\0')) return process.stdout.write(answer.slice(0, -1));
  const note = ORKESTR_PUSH_MISSED + '/' + randomUUID();
  try {
    writeFileSync(note + '.part', ORKESTR_PUSH_OF + '\\n' + updates, { mode: 0o600 });
    renameSync(note + '.part', note);
    console.log('orkestr: the push is stored, but the hub did not answer; it deploys it as soon as it is there again');
  } catch (error) {
    console.log('orkestr: the push is stored, but the hub did not answer (' + error.code + '); once it does: orkestr deploy');
  }
});
`;

/** A shebang line may be too short for the path of our Node, so a fixed two-line wrapper starts the program. */
async function writeHook(folder: string): Promise<void> {
  const program = join(folder, 'post-receive.cjs');
  await writeFile(program, HOOK_PROGRAM, { mode: 0o600 });
  const wrapper = `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(program)}\n`;
  await writeFile(join(folder, 'post-receive'), wrapper, { mode: 0o700 });
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

async function socketPath(hooksFolder: string): Promise<string> {
  const path = join(dirname(hooksFolder), 'git-hook.sock');
  if (Buffer.byteLength(path) < MAX_PATH_BYTES) return path;
  return join(await mkdtemp(join(tmpdir(), 'orkestr-')), 'hook.sock');
}
