/** Wakes the followers of a deployment, within this process. */
import { EventEmitter } from 'node:events';
import type { News } from '../deps.ts';

export function makeNews(): News {
  const emitter = new EventEmitter().setMaxListeners(0); // api/events.ts bounds the number of followers
  return {
    publish: (deploymentId) => void emitter.emit(deploymentId),
    next: (deploymentId, ms, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          emitter.off(deploymentId, done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        emitter.on(deploymentId, done);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      }),
  };
}
