/** Closes a connection so that the peer cannot take it for the end of a response. */

interface Resettable {
  /** Of a TLS connection: the underlying one. Undocumented, and the only way to get it. */
  readonly _parent?: Resettable | null;
  resetAndDestroy(): unknown;
}

/** Sends RST in place of FIN. @param connection a TCP or TLS socket, or a stream with its own `resetAndDestroy` */
export function resetConnection(connection: object): void {
  const { _parent: under } = connection as Resettable;
  // Called on a TLSSocket itself, `resetAndDestroy` throws.
  (under ?? (connection as Resettable)).resetAndDestroy();
}
