/** Builds that hit a limit while the same host serves: the host's kernel reports what the build has hit. */
import type { App } from '../app.ts';

interface Excess {
  readonly name: string;
  readonly build: Readonly<Record<string, number>>;
  /** Of a RUN step that hides its errors and continues. */
  readonly script: string;
  readonly code: string;
  /** Must be in the error message. */
  readonly told: RegExp;
}

const EXCESSES: readonly Excess[] = [
  {
    name: 'memory',
    build: { memoryMiB: 256 },
    script: 'while :; do tail /dev/zero; done',
    code: 'ORK_BUILD_MEMORY',
    told: /limit 256 MiB, peak 2\d\d(?:\.\d)? MiB/,
  },
  {
    name: 'processes',
    build: { pids: 256 },
    script: 'f(){ f | f & }; f; while :; do sleep 1; done',
    code: 'ORK_BUILD_PROCESSES',
    told: /256/,
  },
];

/** Name of a phase, and its work, which returns the failed requests of visitors meanwhile. */
export const limitPhases = (app: App): readonly (readonly [string, () => Promise<number>])[] =>
  EXCESSES.map((excess) => [`build without end: ${excess.name}`, () => app.under(() => build(app, excess))]);

async function build(app: App, { build: limits, script, code, told }: Excess): Promise<void> {
  await app.set({ build: limits });
  const argv = JSON.stringify(['bash', '-c', script]);
  const { status, error } = await app.ended(await app.push({ Dockerfile: `FROM node:26-trixie-slim\nRUN ${argv}\n` }));
  if (status !== 'failed' || error?.code !== code || !told.test(error.message)) {
    throw new Error(`${status}, not ${code} with ${told}: ${JSON.stringify(error)}`);
  }
  await app.set({ build: null });
  // The next push has the app without it again.
  app.forget('Dockerfile');
}
