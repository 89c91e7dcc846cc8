/** The proxy as a separate process, for tests that kill, stop, hang or replace it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { buildProxy } from '../../../installer/prepare/proxy-bundle.ts';
import { proxyArgv, ROOT } from '../../../installer/stack/stack.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { entryFor, eventually, Wire } from './harness.ts';

await buildProxy(ROOT, () => undefined);

export interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminSocket: string;
  output(): string;
  /** Ends the process with a signal. Resolves with its exit code, null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  connect(): Promise<Wire>;
  admin(
    method: string,
    path: string,
    body?: string,
  ): Promise<{ status: number; type: string; body: Record<string, unknown> }>;
  flip(generation: number, port: number, changes?: Partial<UpstreamEntry>): Promise<{ status: number }>;
}

/** A listening socket to hand over, and the program that does so. */
interface Activation {
  readonly launcher: string;
  readonly fd: number;
}

export function environment(folder: string): NodeJS.ProcessEnv {
  return {
    ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
    ORKESTR_PROXY_SOCKET: join(folder, 'admin.sock'),
    ORKESTR_PROXY_STATE: join(folder, 'state'),
  };
}

export function start(t: TestContext, argv: readonly string[], env: NodeJS.ProcessEnv, socket?: Activation) {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(socket ? [socket.fd] : [])];
  const [file = '', ...operands] = [...(socket ? ['/bin/sh', socket.launcher] : []), ...proxyArgv(), ...argv];
  const child: ChildProcess = spawn(file, operands, { env, stdio });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => {
      output += String(text);
    });
  }
  const over = (): boolean => child.exitCode !== null || child.signalCode !== null;
  t.after(async () => {
    if (!over()) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    // Its workers, its successors and their workers are not our children.
    const left = pidsIn(output).filter(isProxy);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    await eventually('the end of all', () => !left.some(isProxy));
  });
  return { child, output: () => output, over };
}

export async function serve(
  t: TestContext,
  folder: string,
  socket?: Activation,
  more: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const { child, output, over } = start(t, ['serve'], { ...environment(folder), ...more }, socket);
  const url = /"url":"http:\/\/127.0.0.1:(\d+)".*"msg":"listening"/;
  await eventually(`the listening line in ${output()}`, () => url.test(output()) || over());
  const port = Number(url.exec(output())?.[1]);
  assert.ok(port > 0, output());
  const adminSocket = join(folder, 'admin.sock');
  const admin: Running['admin'] = (method, path, body) => callAdmin(adminSocket, method, path, body);
  return {
    child,
    port,
    adminSocket,
    output,
    admin,
    end: async (signal) => {
      const exit = once(child, 'exit');
      child.kill(signal);
      return ((await exit) as [number | null])[0];
    },
    connect: async () => {
      const socket = createConnection(port, '127.0.0.1');
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return new Wire(socket);
    },
    flip: (generation, target, changes = {}) => {
      const entry = entryFor(target, { generation, ...changes });
      return admin('POST', '/v1/flip', JSON.stringify({ entry, expectedGeneration: generation - 1 }));
    },
  };
}

/** Makes one call of the admin API. */
export function callAdmin(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): ReturnType<Running['admin']> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath, method, path, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const type = String(res.headers['content-type']);
      const status = res.statusCode ?? 0;
      res.on('error', reject);
      res.on('end', () => resolve({ status, type, body: JSON.parse(text) as Record<string, unknown> }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

/** Ids of all processes that logged that they listen, and of their workers. */
export function pidsIn(output: string): number[] {
  const lines = output.split('\n').filter((line) => line.includes('"msg":"listening"'));
  return lines.flatMap((line) => {
    const { pid, pids } = JSON.parse(line) as { pid: number; pids: number[] };
    return [pid, ...pids];
  });
}

export function isProxy(pid: number): boolean {
  try {
    const [state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '';
    return state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('proxy/');
  } catch {
    return false; // no such process, which answers the question
  }
}
