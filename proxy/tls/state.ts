/**
 * What worker processes need to terminate TLS: certificates with their keys, open challenges, ticket keys. The primary
 * process sends it over IPC at the start, and later each changed part. It is never logged, stored or sent elsewhere.
 */
import { z } from 'zod';

const Pair = z.object({ chain: z.string(), privateKey: z.string() });

export const TerminatorState = z.object({
  /** For each host the best one first. `staple`: OCSP response to staple, base64 of DER; null without a good one. */
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
  /** 48 bytes for session tickets, base64: the same in all workers, so that each accepts the others' tickets. */
  ticketKeys: z.string(),
});
export type TerminatorState = z.infer<typeof TerminatorState>;

/** Absent parts do not change. */
export const TerminatorChange = TerminatorState.partial();
export type TerminatorChange = z.infer<typeof TerminatorChange>;
