/** A process that runs versions of an app, each with a listener of its own. */
import { serveCommands } from '../worker.ts';
import { Payload } from './payload.ts';
import { AppVersion } from './version.ts';
import type { Ending, Handler } from './version.ts';

export type AppCommands = {
  start: { given: { version: string }; answer: { port: number } };
  /** `latest`: the last moment at which an answer may have begun, ms of the bench's clock. */
  stop: { given: { version: string; latest: number }; answer: Ending };
};

/** @param more what a version serves beside its own paths */
export function runApp(more: (version: string) => Readonly<Record<string, Handler>>): void {
  const payload = new Payload();
  const running = new Map<string, AppVersion>();
  serveCommands<AppCommands>({
    start: async ({ version }) => {
      const app = new AppVersion(version, payload, more(version));
      running.set(version, app);
      return { port: await app.listen() };
    },
    stop: ({ version, latest }) => {
      const app = running.get(version);
      if (!app) throw new Error(`version ${version} does not run`);
      running.delete(version);
      return app.stop(latest);
    },
  });
}
