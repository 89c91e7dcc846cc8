/** Options of `npm start`. */
import { parseArgs } from 'node:util';
import { OrkestrError } from '../../protocol/errors.ts';

type Mode = 'stay' | 'once' | 'reset' | 'help';

export const HELP = `orkestr on this machine: Docker Engine, hub, proxy, agent and a sample app, from nothing to a running URL.

  npm start              start everything, deploy the sample, stay in the foreground; Ctrl-C stops what it started
  npm start -- --once    the same, check the app, print one JSON object as the last line, stop, exit 0 or 1
  npm start -- --reset   remove everything that npm start made on this machine
  npm start -- --help    this text

Examples
  npm start -- --once | tail -n 1       {"ok":true,"deployments":[…],"requests":3120,"failedRequests":0}
  curl -H 'Host: hello.localhost' http://127.0.0.1:8080/version

State is kept in .orkestr/ of this folder; a second npm start continues with it.`;

/** @throws OrkestrError ORK_CONFIG for an unknown option or combination */
export function readMode(argv: readonly string[]): Mode {
  const names = ['once', 'reset', 'help'] as const;
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'boolean' as const }]));
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    const given = names.filter((name) => values[name]);
    if (given.includes('help')) return 'help';
    if (given.length > 1) throw new Error(`--${given.join(' and --')} cannot be combined`);
    return given[0] ?? 'stay';
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `${(cause as Error).message}. See npm start -- --help.`, { cause });
  }
}
