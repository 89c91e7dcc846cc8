/**
 * What worker processes need to end TLS: certificates with their keys, open challenges, ticket keys. The primary process
 * sends it over IPC at start and each changed part later; it never goes to a log, a disk or a socket.
 */
import { z } from 'zod';

const Pair = z.object({ chain: z.string(), privateKey: z.string() });

export const TerminatorState = z.object({
  /** Best first for each host. `staple`: DER of the OCSP response, base64, while there is one that is good. */
  certificates: z.array(
    Pair.extend({
      hosts: z.array(z.string()),
      notBefore: z.number(),
      notAfter: z.number(),
      staple: z.string().nullable(),
    }),
  ),
  challenges: z.object({
    /** Token → key authorization (RFC 8555 section 8.3). */
    http: z.record(z.string(), z.string()),
    /** Host → self-signed certificate of RFC 8737. */
    alpn: z.record(z.string(), Pair),
  }),
  /** The server's 48 bytes for session tickets, base64: the same in all workers, so that a ticket is good at any. */
  ticketKeys: z.string(),
});
export type TerminatorState = z.infer<typeof TerminatorState>;

/** A part that is absent stays as it was. */
export const TerminatorChange = TerminatorState.partial();
export type TerminatorChange = z.infer<typeof TerminatorChange>;
