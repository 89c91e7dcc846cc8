/** What the proxy knows of gRPC: how a call is told, and how it is ended so that its client tries again. */

/** @param contentType of a request: `application/grpc`, and its kinds (`+proto` and so on) */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType?.startsWith('application/grpc') === true;
}

/** UNAVAILABLE: clients take it for a server that goes, and call again. Names and values in turn. */
export const GRPC_UNAVAILABLE: readonly string[] = [
  'grpc-status',
  '14',
  'grpc-message',
  'The server moves to a new version.',
];
