/** The gRPC that the proxy knows: how to recognise a call, and how to end it so that its client tries again. */

/** @param contentType of the request: `application/grpc` and its variants (`+proto` and so on) */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType?.startsWith('application/grpc') === true;
}

/** Status UNAVAILABLE: clients take it for a server that shuts down, and retry. Alternating names and values. */
export const GRPC_UNAVAILABLE: readonly string[] = [
  'grpc-status',
  '14',
  'grpc-message',
  'The server moves to a new version.',
];
