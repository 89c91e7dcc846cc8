/** A live app that is down, in words. Pure; shared by notices, the CLI and the console. */

interface DownState {
  readonly error: { readonly message: string };
  readonly restarts: number;
}

/** Why, and how often it was tried: `The app exited with code 1. Docker has restarted it 14 times.` */
export const whyDown = ({ error, restarts }: DownState): string =>
  restarts === 0
    ? error.message
    : `${error.message} Docker has restarted it ${restarts === 1 ? 'once' : `${restarts} times`}.`;
