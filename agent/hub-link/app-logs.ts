/**
 * The reads of app logs that the hub ordered over one connection. Each read sends as long as it has credit, and ends
 * with the connection.
 */
import { APP_LOG_WINDOW, HOST_APP_LOG_READS } from '../../protocol/app-log.ts';
import type { AppLogClose, AppLogCredit, AppLogOrder, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import type { AgentMessage } from '../../protocol/agent-link.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';

export interface AppLogSource {
  open(request: AppLogRequest): AppLogRead;
}

export interface AppLogReads {
  order(order: AppLogOrder): void;
  credit(credit: AppLogCredit): void;
  close(close: AppLogClose): void;
  /** The connection has ended. */
  stop(): void;
}

interface Open {
  readonly read: AppLogRead;
  credit: number;
  wake: () => void;
}

/** @param send resolves when the message has left this process, so that a slow connection slows down the read */
export function makeAppLogReads(source: AppLogSource, send: (message: AgentMessage) => Promise<void>): AppLogReads {
  const reads = new Map<string, Open>();

  const carryOut = async (readId: string, open: Open): Promise<void> => {
    let error: unknown;
    try {
      for (let part = await open.read.next(); part !== null; part = await open.read.next()) {
        while (open.credit === 0 && reads.has(readId)) await new Promise<void>((resolve) => (open.wake = resolve));
        if (!reads.has(readId)) return;
        open.credit -= 1;
        await send({ type: 'app-log-chunk', readId, ...part });
      }
    } catch (thrown) {
      error = thrown;
    }
    // If the hub closed the read, it does not expect an end.
    if (reads.delete(readId)) await send(endOf(readId, error));
  };
  const forget = (readId: string): void => {
    const open = reads.get(readId);
    reads.delete(readId);
    open?.read.close();
    open?.wake();
  };

  return {
    order({ readId, ...order }) {
      if (reads.size >= HOST_APP_LOG_READS) {
        const text = `This host is already reading ${HOST_APP_LOG_READS} app logs at the same time. Close one of them first.`;
        void send(endOf(readId, new OrkestrError('ORK_TOO_MANY_REQUESTS', text)));
        return;
      }
      const open = { read: source.open(requestOf(order)), credit: APP_LOG_WINDOW, wake: () => undefined };
      reads.set(readId, open);
      void carryOut(readId, open);
    },
    credit({ readId, chunks }) {
      const open = reads.get(readId);
      if (open === undefined) return; // it has ended meanwhile
      open.credit += chunks;
      open.wake();
    },
    close: ({ readId }) => forget(readId),
    stop() {
      for (const readId of reads.keys()) forget(readId);
    },
  };
}

const requestOf = ({ environmentId, tail, sinceSeconds, follow, after }: AppLogRequest): AppLogRequest => ({
  environmentId,
  tail,
  sinceSeconds,
  follow,
  after,
});

const endOf = (readId: string, error: unknown): AgentMessage => ({
  type: 'app-log-end',
  readId,
  ...(error !== undefined && { error: toErrorReport(error) }),
});
