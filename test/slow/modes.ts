/** The four modes of slowhttptest. A few attackers each have their own address, below the cap per address. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/** Arguments per mode; slowhttptest(1) explains them. */
export const MODES = {
  headers: ['-H', '-i', '2', '-x', '24'],
  body: ['-B', '-i', '2', '-s', '100000', '-x', '10'],
  range: ['-R', '-a', '5', '-b', '1500'],
  read: ['-X', '-k', '3', '-w', '512', '-y', '1024', '-n', '2', '-z', '32'],
} as const;
export type Mode = keyof typeof MODES;

/** A slow reader needs something to read. */
const PATHS = { headers: '/small', body: '/small', range: '/small', read: '/big' } as const;
/** All connections are open after this long. */
export const RAMP_SECONDS = 4;

interface Attack {
  readonly mode: Mode;
  /** Addresses of this machine: a connection to one of them also comes from it. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
}

/** Runs the attackers. @returns what ends them and waits until they are gone */
export function attack({ mode, addresses, port, connections, seconds }: Attack): () => Promise<void> {
  const each = Math.ceil(connections / addresses.length);
  const rate = Math.ceil(each / RAMP_SECONDS);
  const attackers = addresses.map((address) =>
    // `-p`: the program's own probe decides nothing here.
    run(mode, ['-c', each, '-r', rate, '-l', seconds, '-p', seconds, '-u', `http://${address}:${port}${PATHS[mode]}`]),
  );
  return async () => {
    await Promise.all(attackers.map(end));
  };
}

function run(mode: Mode, args: readonly (string | number)[]): ChildProcess {
  // Real attackers run elsewhere, so here they only get idle processor time.
  return spawn('chrt', ['--idle', '0', 'slowhttptest', ...MODES[mode], ...args.map(String)], { stdio: 'ignore' });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.kill('SIGKILL');
  });
}
