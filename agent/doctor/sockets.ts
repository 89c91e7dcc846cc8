/**
 * Which process has which listening socket, from /proc: proc(5), proc_net(5). Needs root for other users' processes.
 * Reads synchronously: with some ten thousand short reads, an asynchronous call would cost more than the read itself.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

interface Listening {
  readonly port: number;
  readonly inode: string;
}

export interface Holder {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** Its command line, truncated. */
  readonly command: string;
  /** Which of the requested sockets it has. */
  readonly inodes: readonly string[];
  /** All TCP ports that it listens on. */
  readonly tcpPorts: readonly number[];
}

/** State 0A of the fourth column is LISTEN. */
const LISTEN = '0A';
const MAX_COMMAND = 200;

/** Listening TCP sockets in this network namespace. */
export function listeningPorts(proc: string): readonly Listening[] {
  return ['net/tcp', 'net/tcp6'].flatMap((name) =>
    read(join(proc, name))
      .split('\n')
      .slice(1)
      .flatMap((line): Listening[] => {
        const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
        return state === LISTEN ? [{ port: Number.parseInt(local.split(':').at(-1) ?? '', 16), inode }] : [];
      }),
  );
}

/**
 * Inode of the listening unix socket at `path`; null: nothing listens there. The kernel shows the name that was bound:
 * the proxy binds `path.PID` and renames it into place.
 */
export function unixSocketInode(proc: string, path: string): string | null {
  const lines = read(join(proc, 'net/unix')).split('\n');
  // Columns: Num RefCount Protocol Flags Type St Inode Path; flag 00010000 (__SO_ACCEPTCON) is a listening socket.
  const line = lines
    .map((one) => one.split(/\s+/))
    .find(([, , , flags, , , , bound = '']) => flags === '00010000' && bound.replace(/\.\d+$/, '') === path);
  return line?.[6] ?? null;
}

/** The processes that have one of the `wanted` sockets. */
export const holdersOf = (
  proc: string,
  listening: readonly Listening[],
  wanted: ReadonlySet<string>,
): readonly Holder[] =>
  list(proc)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => holder(proc, pid, listening, wanted) ?? []);

function holder(
  proc: string,
  pid: string,
  listening: readonly Listening[],
  wanted: ReadonlySet<string>,
): Holder | null {
  const inodes = socketsOf(join(proc, pid, 'fd'));
  const mine = inodes.filter((inode) => wanted.has(inode));
  if (mine.length === 0) return null;
  const command = read(join(proc, pid, 'cmdline'))
    .replaceAll('\0', ' ')
    .trim();
  const ports = listening.filter(({ inode }) => inodes.includes(inode)).map(({ port }) => port);
  return {
    pid: Number(pid),
    parent: Number(/^PPid:\s+(\d+)/m.exec(read(join(proc, pid, 'status')))?.[1] ?? 0),
    // Both `nginx: master process` and `/usr/sbin/nginx`.
    name: basename(command.split(' ')[0] ?? '').replace(/:$/, '') || 'unknown',
    command: command.slice(0, MAX_COMMAND),
    inodes: mine,
    tcpPorts: [...new Set(ports)].sort((a, b) => a - b),
  };
}

const socketsOf = (folder: string): string[] =>
  list(folder).flatMap((name) => /^socket:\[(\d+)\]$/.exec(linkOf(join(folder, name)))?.[1] ?? []);

// A process that ends meanwhile, or that we may not look at, yields empty results.
const read = (path: string): string => orElse(() => readFileSync(path, 'utf8'), '');
const list = (path: string): string[] => orElse(() => readdirSync(path), []);
const linkOf = (path: string): string => orElse(() => readlinkSync(path), '');

function orElse<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise; // see above
  }
}
