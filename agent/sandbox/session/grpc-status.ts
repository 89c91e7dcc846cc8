/** The end of a gRPC call. */

/** The status codes in use (statuscodes.md of grpc/grpc). */
export const GRPC = { ok: 0, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

/** Thrown by a method to end the call with this status. */
export class GrpcStatus extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
