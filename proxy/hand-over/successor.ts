/** The new side of a hand-over: the state inherited from the predecessor, and its planes while it drains. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { channelOf } from '../planes/channel.ts';
import { readFarewell } from '../planes/messages.ts';
import type { LastWords } from '../planes/planes.ts';
import { RemotePlanes } from '../planes/remote.ts';
import { ToSuccessor } from './messages.ts';
import type { FromSuccessor, Inheritance } from './messages.ts';

/** How long to wait for the inheritance, ms; the predecessor has everything at hand. */
const INHERIT_MS = 5_000;

export interface Predecessor {
  readonly inheritance: Inheritance;
  readonly planes: RemotePlanes;
  /** Lets it stop accepting. */
  relieve(): void;
  /** Called with its final counts, just before it exits. */
  onFarewell(listener: (words: LastWords) => void): void;
  onGone(listener: () => void): void;
}

/**
 * For a process that another proxy has started as its successor.
 * @throws OrkestrError ORK_CONFIG when the predecessor sends nothing
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
      // The pipe also carries the answers of planes.
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
