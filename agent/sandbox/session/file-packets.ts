/** The messages of a file sync: tonistiigi/fsutil types/wire.proto and types/stat.proto. */
import type protobuf from 'protobufjs';
import type { ContextEntry } from '../context/context.ts';

/** PacketType. */
export const PACKET = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const;

/** Mode bits of Go (io/fs FileMode), which differ from the kernel's. */
const GO_MODE = { folder: 0x8000_0000, link: 0x0800_0000, setuid: 0x80_0000, setgid: 0x40_0000, sticky: 0x10_0000 };

const SCHEMA: protobuf.INamespace = {
  nested: {
    // Owner and group are left out: all files of a context belong to root.
    Stat: {
      fields: {
        path: { type: 'string', id: 1 },
        mode: { type: 'uint32', id: 2 },
        size: { type: 'int64', id: 5 },
        modTime: { type: 'int64', id: 6 },
        linkname: { type: 'string', id: 7 },
      },
    },
    Packet: {
      fields: {
        type: { type: 'uint32', id: 1 },
        stat: { type: 'Stat', id: 2 },
        id: { type: 'uint32', id: 3 },
        data: { type: 'bytes', id: 4 },
      },
    },
  },
};

/** A packet from the engine. */
interface PacketIn {
  readonly type: number;
  readonly id: number;
  readonly data: Uint8Array;
}

export interface FilePackets {
  /** @throws Error if it is not a packet */
  read(bytes: Uint8Array): PacketIn;
  stat(entry: ContextEntry): Uint8Array;
  /** Without bytes: the end of the file. */
  data(id: number, bytes: Uint8Array): Uint8Array;
  /** All stats have been sent. */
  readonly lastStat: Uint8Array;
  /** The sync is complete. */
  readonly end: Uint8Array;
}

/** Loads protobufjs, unless the decoder of the build status already has. */
export async function loadFilePackets(): Promise<FilePackets> {
  const { default: library } = await import('protobufjs/light.js');
  const type = library.Root.fromJSON(SCHEMA).lookupType('Packet');
  const write = (message: object): Uint8Array => type.encode(message).finish();
  return {
    read: (bytes) => type.toObject(type.decode(bytes), { defaults: true }) as PacketIn,
    stat: (entry) => write({ type: PACKET.stat, stat: statOf(entry) }),
    data: (id, bytes) => write({ type: PACKET.data, id, data: bytes }),
    lastStat: write({ type: PACKET.stat }),
    end: write({ type: PACKET.end }),
  };
}

function statOf(entry: ContextEntry): object {
  return {
    path: entry.name,
    mode: goMode(entry),
    modTime: halves(entry.modifiedAt),
    ...(entry.kind === 'file' && { size: entry.size }),
    // Size of the target's path, as the kernel reports it: the engine compares it with its own link.
    ...(entry.kind === 'link' && { size: Buffer.byteLength(entry.target), linkname: entry.target }),
  };
}

function goMode({ kind, mode }: ContextEntry): number {
  const kindBit = kind === 'folder' ? GO_MODE.folder : kind === 'link' ? GO_MODE.link : 0;
  const special =
    (mode & 0o4000 ? GO_MODE.setuid : 0) | (mode & 0o2000 ? GO_MODE.setgid : 0) | (mode & 0o1000 ? GO_MODE.sticky : 0);
  return ((mode & 0o777) | special | kindBit) >>> 0;
}

/** Nanoseconds exceed the safe integers of a number; protobufjs accepts a 64-bit integer as two halves. */
function halves(value: bigint): { low: number; high: number; unsigned: false } {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: false };
}
