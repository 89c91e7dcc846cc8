/** Edge settings that the hub sends on their own: from the signed frame to the accepted order. */
import { z } from 'zod';
import type { EdgeNews } from '../../protocol/agent-link.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import type { SignedJob } from '../../protocol/job.ts';
import { parseJson } from '../../protocol/json.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { openEdgeOrder } from '../../protocol/signing.ts';
import type { Credentials } from './handshake.ts';

/** Receives verified orders and refusals of unreadable ones. */
export interface HostEdge {
  accept(order: EdgeOrder): void;
  refuse(order: { readonly environmentId: string; readonly revision: number }, error: ErrorReport): void;
  /** Calls `listener` with all news for the hub. One listener at a time; null removes it. */
  onNews(listener: ((news: EdgeNews) => void) | null): void;
}

const Named = z.object({ environmentId: Uuid, revision: z.int().min(0), hostId: Uuid });

/** Checks the signature first, then whether the order is for this host. */
export function takeEdgeOrder(
  { credentials, edge, log }: { credentials: Credentials; edge: HostEdge; log: Logger },
  envelope: SignedJob,
): void {
  let order: EdgeOrder;
  try {
    order = openEdgeOrder(envelope, credentials.hubPublicKey);
  } catch (error) {
    log.error({ err: error }, 'edge settings were refused');
    if (error instanceof OrkestrError && error.code === 'ORK_SIGNATURE') return;
    // Signed by our hub, but with a value that this version does not know.
    const named = Named.safeParse(parseJson(envelope.payload));
    if (named.success && named.data.hostId === credentials.hostId) {
      const { environmentId, revision } = named.data;
      edge.refuse({ environmentId, revision }, toErrorReport(error, 'ORK_JOB_REFUSED'));
    }
    return;
  }
  if (order.hostId !== credentials.hostId) {
    log.error(
      { environmentId: order.environmentId, hostId: order.hostId },
      'edge settings for another host were refused',
    );
    return;
  }
  edge.accept(order);
}
