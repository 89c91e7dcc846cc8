/** How a gRPC call ends. */

/** The status codes that are used here (statuscodes.md of grpc/grpc). */
export const GRPC = { ok: 0, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

/** Thrown by a method: the call ends with this status. */
export class GrpcStatus extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
