/**
 * The old side of a hand-over (docs/adr/0012). It starts the successor with the listening sockets, sends it what is not
 * on disk, and lets it serve first. Nothing has changed until the successor reports that it serves.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { OrkestrError } from '../../protocol/errors.ts';
import { channelOf } from '../planes/channel.ts';
import type { Channel } from '../planes/channel.ts';
import { farewell } from '../planes/messages.ts';
import type { LastWords, Planes } from '../planes/planes.ts';
import { servePlanes } from '../planes/serve.ts';
import { FromSuccessor } from './messages.ts';
import type { Inheritance, ToSuccessor } from './messages.ts';

/** How long a successor may take until it serves, ms. On a busy host a start that takes 0.1 s has taken 20 s. */
const START_MS = 60_000;

/** The program to start. */
interface Program {
  readonly execPath: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From descriptor 3 on, as systemd passes them. */
  readonly fds: readonly number[];
}

export interface Successor {
  readonly pid: number;
  /** Sends the final counts of this process. */
  farewell(words: LastWords): void;
}

/**
 * Resolves once the successor serves. From then on it calls `planes` of this process until this one ends.
 * @param stopping aborts when this process ends; a successor that does not serve yet is ended with it
 * @throws OrkestrError ORK_PROXY_HAND_OVER when it fails to serve; it has been ended then
 */
export async function startSuccessor(
  program: Program,
  inheritance: Inheritance,
  planes: Planes,
  stopping: AbortSignal,
): Promise<Successor> {
  const { execPath, args, env, fds } = program;
  const child = spawn(execPath, args, {
    env: { ...env },
    stdio: ['inherit', 'inherit', 'inherit', ...fds, 'ipc'],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
    child.once('error', (error) => resolve(String(error)));
  });
  const given = new Promise<string>((resolve) => {
    const giveUp = (): void => resolve('the proxy is stopped');
    if (stopping.aborted) giveUp();
    else stopping.addEventListener('abort', giveUp, { once: true });
  });
  try {
    const channel = await awaitServing(child, Promise.race([ended, given]), inheritance, planes);
    return {
      pid: child.pid ?? 0,
      farewell: (words) => channel.send(farewell(words)),
    };
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw error;
  }
}

function awaitServing(
  child: ChildProcess,
  failed: Promise<string>,
  inheritance: Inheritance,
  planes: Planes,
): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new OrkestrError('ORK_PROXY_HAND_OVER', `The successor failed to start serving: ${why}.`));
    };
    const timer = setTimeout(() => fail(`nothing in ${START_MS} ms`), START_MS);
    void failed.then(fail);
    if (child.pid === undefined) return;
    const channel = channelOf(child);
    servePlanes(channel, planes);
    channel.onMessage((message) => {
      const told = FromSuccessor.safeParse(message);
      // The pipe also carries the calls of planes.
      if (!told.success) return;
      if (told.data.type === 'born') channel.send({ type: 'inherit', inheritance } satisfies ToSuccessor);
      else {
        clearTimeout(timer);
        resolve(channel);
      }
    });
  });
}
