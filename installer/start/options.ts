/** Options of `npm start`. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { OrkestrError } from '../../protocol/errors.ts';

type Mode = 'stay' | 'once' | 'reset' | 'help';

interface Options {
  readonly mode: Mode;
  /** Absolute path of the folder for the state; null: `.orkestr`. */
  readonly home: string | null;
}

export const HELP = `orkestr on this machine: Docker Engine, hub, proxy, agent and a sample app, from nothing to a running URL.

  npm start              start everything, deploy the sample, stay in the foreground; Ctrl-C stops what it started
  npm start -- --once    the same, check the app, print one JSON object as the last line, stop, exit 0 or 1
  npm start -- --reset   remove everything that npm start made on this machine
  npm start -- --help    this text

  --home FOLDER          keep the state in this folder instead of .orkestr/; --reset removes it

Examples
  npm start -- --once | tail -n 1       {"ok":true,"deployments":[…],"requests":3120,"failedRequests":0}
  curl -H 'Host: hello.localhost' http://127.0.0.1:8080/version

State is kept in .orkestr/ of this folder; a second npm start continues with it.`;

const FLAGS = ['once', 'reset', 'help'] as const;

/** @throws OrkestrError ORK_CONFIG for an unknown option or combination */
export function readOptions(argv: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        once: { type: 'boolean' },
        reset: { type: 'boolean' },
        help: { type: 'boolean' },
        home: { type: 'string' },
      },
    });
    const given = FLAGS.filter((name) => values[name]);
    if (given.length > 1 && !values.help) throw new Error(`--${given.join(' and --')} cannot be combined`);
    if (values.home === '') throw new Error('--home has no value');
    const mode = values.help ? 'help' : (given[0] ?? 'stay');
    return { mode, home: values.home === undefined ? null : resolve(values.home) };
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `${(cause as Error).message}. See npm start -- --help.`, { cause });
  }
}
