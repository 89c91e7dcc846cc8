/** An end of a connection that nobody can take for the end of an answer. */

interface Resettable {
  /** Of a TLS connection: the one under it. Undocumented, and the only way from the one to the other. */
  readonly _parent?: Resettable | null;
  resetAndDestroy(): unknown;
}

/** RST in place of FIN. @param connection of TCP, TLS, or a stream that knows how to break its own */
export function resetConnection(connection: object): void {
  const { _parent: under } = connection as Resettable;
  // Node throws for a TLSSocket itself.
  (under ?? (connection as Resettable)).resetAndDestroy();
}
