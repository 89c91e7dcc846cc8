/** Edge settings that the hub sends by themselves: from the signed frame to the order that is obeyed. */
import { z } from 'zod';
import type { EdgeNews } from '../../protocol/agent-link.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import type { SignedJob } from '../../protocol/job.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { openEdgeOrder } from '../../protocol/signing.ts';
import type { Credentials } from './handshake.ts';

/** What a verified order or an unreadable one leads to. */
export interface HostEdge {
  accept(order: EdgeOrder): void;
  refuse(order: { readonly environmentId: string; readonly revision: number }, error: ErrorReport): void;
  /** Called with all that is to be told; one listener, null ends it. */
  onNews(listener: ((news: EdgeNews) => void) | null): void;
}

const Named = z.object({ environmentId: Uuid, revision: z.int().min(0), hostId: Uuid });

/** Signature first; then whether it is for this host. */
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
    // Signed by our hub, yet with a value that this version does not know.
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // there is nobody to tell it of
  }
}
