/** BuildKit's progress messages (moby/buildkit api/services/control/control.proto), as the engine sends them. */
import type protobuf from 'protobufjs';

export interface Vertex {
  readonly digest: string;
  /** "[2/5] RUN npm ci" */
  readonly name: string;
  readonly cached: boolean;
  readonly started: boolean;
  /** Duration, once it has ended. */
  readonly seconds: number | null;
  /** Empty on success. */
  readonly error: string;
}

export interface VertexLog {
  readonly vertex: string;
  /** When the command printed it, ms since the epoch; null if the engine does not report it. */
  readonly at: number | null;
  readonly bytes: Uint8Array;
}

/** A transfer of a vertex: a layer that it pulls, the context that it loads. */
export interface VertexTransfer {
  readonly vertex: string;
  readonly id: string;
  /** Bytes; a total of 0 means unknown. */
  readonly current: number;
  readonly total: number;
}

export interface BuildStatus {
  readonly vertexes: readonly Vertex[];
  readonly logs: readonly VertexLog[];
  readonly transfers: readonly VertexTransfer[];
}

interface RawTime {
  readonly seconds: number;
  readonly nanos: number;
}

interface RawStatus {
  readonly vertexes?: readonly {
    readonly digest: string;
    readonly name: string;
    readonly cached: boolean;
    readonly started?: RawTime | null;
    readonly completed?: RawTime | null;
    readonly error: string;
  }[];
  readonly statuses?: readonly {
    readonly ID: string;
    readonly vertex: string;
    readonly current: number;
    readonly total: number;
  }[];
  readonly logs?: readonly { readonly vertex: string; readonly timestamp?: RawTime | null; readonly msg: Uint8Array }[];
}

/** The fields in use; the decoder skips all others. */
const SCHEMA: protobuf.INamespace = {
  nested: {
    Time: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
    Vertex: {
      fields: {
        digest: { type: 'string', id: 1 },
        name: { type: 'string', id: 3 },
        cached: { type: 'bool', id: 4 },
        started: { type: 'Time', id: 5 },
        completed: { type: 'Time', id: 6 },
        error: { type: 'string', id: 7 },
      },
    },
    VertexStatus: {
      fields: {
        ID: { type: 'string', id: 1 },
        vertex: { type: 'string', id: 2 },
        current: { type: 'int64', id: 4 },
        total: { type: 'int64', id: 5 },
      },
    },
    VertexLog: {
      fields: {
        vertex: { type: 'string', id: 1 },
        timestamp: { type: 'Time', id: 2 },
        msg: { type: 'bytes', id: 4 },
      },
    },
    Status: {
      fields: {
        vertexes: { rule: 'repeated', type: 'Vertex', id: 1 },
        statuses: { rule: 'repeated', type: 'VertexStatus', id: 2 },
        logs: { rule: 'repeated', type: 'VertexLog', id: 3 },
      },
    },
  },
};

/** A decoder of base64 payloads. Loads protobufjs only now, for the first build. */
export async function makeStatusDecoder(): Promise<(base64: string) => BuildStatus> {
  const { default: library } = await import('protobufjs/light.js');
  const type = library.Root.fromJSON(SCHEMA).lookupType('Status');
  return (base64) => {
    const message = type.decode(Buffer.from(base64, 'base64'));
    const raw = type.toObject(message, { longs: Number, defaults: true }) as RawStatus;
    return {
      vertexes: (raw.vertexes ?? []).map((vertex) => ({
        digest: vertex.digest,
        name: vertex.name,
        cached: vertex.cached,
        started: vertex.started != null,
        seconds: duration(vertex.started, vertex.completed),
        error: vertex.error,
      })),
      logs: (raw.logs ?? []).map(({ vertex, timestamp, msg }) => ({ vertex, at: momentOf(timestamp), bytes: msg })),
      transfers: (raw.statuses ?? []).map(({ ID: id, vertex, current, total }) => ({ vertex, id, current, total })),
    };
  };
}

const momentOf = (time: RawTime | null | undefined): number | null =>
  time == null ? null : time.seconds * 1000 + time.nanos / 1e6;

function duration(started: RawTime | null | undefined, completed: RawTime | null | undefined): number | null {
  if (started == null || completed == null) return null;
  return Math.max(0, completed.seconds - started.seconds + (completed.nanos - started.nanos) / 1e9);
}
