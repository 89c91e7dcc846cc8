/** Which process has which listening socket, from /proc: proc(5), proc_net(5). Needs root for others' processes. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface Listening {
  readonly port: number;
  readonly inode: string;
}

export interface Holder {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** Its command line, cut. */
  readonly command: string;
  /** Of the sockets asked for, those that it has. */
  readonly inodes: readonly string[];
  /** All TCP ports that it listens on. */
  readonly tcpPorts: readonly number[];
}

/** State 0A of the fourth column is LISTEN. */
const LISTEN = '0A';
const MAX_COMMAND = 200;

/** TCP sockets that listen in this network namespace. */
export async function listeningPorts(proc: string): Promise<readonly Listening[]> {
  const tables = await Promise.all(['net/tcp', 'net/tcp6'].map((name) => readOr(join(proc, name), '')));
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(1)
      .flatMap((line): Listening[] => {
        const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
        return state === LISTEN ? [{ port: Number.parseInt(local.split(':').at(-1) ?? '', 16), inode }] : [];
      }),
  );
}

/** Inode of the listening unix socket at `path`; null: nobody listens there. */
export async function unixSocketInode(proc: string, path: string): Promise<string | null> {
  const lines = (await readOr(join(proc, 'net/unix'), '')).split('\n');
  // Columns: Num RefCount Protocol Flags Type St Inode Path; flag 00010000 (__SO_ACCEPTCON) is a socket that listens.
  const line = lines.find((one) => one.endsWith(` ${path}`) && one.split(/\s+/)[3] === '00010000');
  return line?.split(/\s+/)[6] ?? null;
}

/** The processes that have one of `wanted`. */
export async function holdersOf(
  proc: string,
  listening: readonly Listening[],
  wanted: ReadonlySet<string>,
): Promise<readonly Holder[]> {
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => holder(proc, pid, listening, wanted)));
  return found.filter((one) => one !== null);
}

async function holder(
  proc: string,
  pid: string,
  listening: readonly Listening[],
  wanted: ReadonlySet<string>,
): Promise<Holder | null> {
  const inodes = await socketsOf(join(proc, pid, 'fd'));
  const mine = inodes.filter((inode) => wanted.has(inode));
  if (mine.length === 0) return null;
  const status = await readOr(join(proc, pid, 'status'), '');
  const command = (await readOr(join(proc, pid, 'cmdline'), '')).replaceAll('\0', ' ').trim();
  const ports = listening.filter(({ inode }) => inodes.includes(inode)).map(({ port }) => port);
  return {
    pid: Number(pid),
    parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
    name: /^Name:\s+(.*)$/m.exec(status)?.[1] ?? 'unknown',
    command: command.slice(0, MAX_COMMAND),
    inodes: mine,
    tcpPorts: [...new Set(ports)].sort((a, b) => a - b),
  };
}

/** Inodes of a process's sockets; none when it has ended or is not ours to look at. */
async function socketsOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []); // gone, or not ours
  const links = await Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => ''))); // closed since
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

const readOr = (path: string, fallback: string): Promise<string> => readFile(path, 'utf8').catch(() => fallback); // gone since, or without IPv6: the same as empty
