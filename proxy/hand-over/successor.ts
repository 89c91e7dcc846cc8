/** The young side of a hand-over: what the process before this one leaves, and its planes while it drains. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { channelOf } from '../planes/channel.ts';
import { readFarewell } from '../planes/messages.ts';
import type { LastWords } from '../planes/planes.ts';
import { RemotePlanes } from '../planes/remote.ts';
import { ToSuccessor } from './messages.ts';
import type { FromSuccessor, Inheritance } from './messages.ts';

/** The one before it has everything at hand, ms. */
const INHERIT_MS = 5_000;

export interface Predecessor {
  readonly inheritance: Inheritance;
  readonly planes: RemotePlanes;
  /** It may stop accepting. */
  relieve(): void;
  /** Told what it has counted, just before it goes. */
  onFarewell(listener: (words: LastWords) => void): void;
  onGone(listener: () => void): void;
}

/**
 * For a process that another proxy has started as its successor.
 * @throws OrkestrError ORK_CONFIG when nothing comes
 */
export function meetPredecessor(log: Logger): Promise<Predecessor> {
  const channel = channelOf(process);
  const tell = (message: FromSuccessor): void => channel.send(message);
  const planes = new RemotePlanes(channel, (call) => {
    log.error({ call }, 'the proxy before this one does not answer; going on without it');
    channel.close();
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new OrkestrError('ORK_CONFIG', 'The proxy that started this one as its successor does not respond.'));
    }, INHERIT_MS);
    channel.onMessage((message) => {
      const told = ToSuccessor.safeParse(message);
      // Answers of planes come by the same pipe.
      if (!told.success) return;
      clearTimeout(timer);
      resolve({
        inheritance: told.data.inheritance,
        planes,
        relieve: () => tell({ type: 'serving' }),
        onFarewell: (listener) => {
          channel.onMessage((last) => {
            const words = readFarewell(last);
            if (words !== null) listener(words);
          });
        },
        onGone: (listener) => channel.onClose(listener),
      });
    });
    tell({ type: 'born' });
  });
}
