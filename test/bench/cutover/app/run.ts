/** A process that runs versions of an app, each with its own listener. */
import { serveCommands } from '../worker.ts';
import { Payload } from './payload.ts';
import { Pulse } from './pulse.ts';
import type { Strays } from './request-times.ts';
import { AppVersion } from './version.ts';
import type { Handler } from './version.ts';

export type AppCommands = {
  start: { given: { version: string }; answer: { port: number } };
  /** `flipped`: when the flip away from it was answered, ms of the bench's clock. */
  stop: { given: { version: string; flipped: number }; answer: Strays };
};

/** @param more what a version serves in addition to its own paths */
export function runApp(more: (version: string) => Readonly<Record<string, Handler>>): void {
  const parts = { payload: new Payload(), pulse: new Pulse() };
  const running = new Map<string, AppVersion>();
  serveCommands<AppCommands>({
    start: async ({ version }) => {
      const app = new AppVersion(version, parts, more(version));
      running.set(version, app);
      return { port: await app.listen() };
    },
    stop: ({ version, flipped }) => {
      const app = running.get(version);
      if (!app) throw new Error(`version ${version} does not run`);
      running.delete(version);
      return app.stop(flipped);
    },
  });
}
