/** Options of `npm run bench:proxy`. */
import { parseArgs } from 'node:util';
import { ROOT } from '../../../installer/stack/stack.ts';
import { WrongCall } from '../../harness/script.ts';
import { CASE_NAMES } from './cases.ts';
import type { CaseName } from './cases.ts';
import { PROXY_NAMES } from './proxies/proxies.ts';
import type { Build } from './proxies/ours.ts';
import type { ProxyName } from './proxies/proxies.ts';

/** Measured in addition to the CPU time per request. */
const EXTRAS = ['latency2000rps', 'memory'] as const;
type Extra = (typeof EXTRAS)[number];

export interface Options {
  readonly rounds: number;
  /** Seconds of load per case, proxy and round. */
  readonly seconds: number;
  readonly cases: readonly CaseName[];
  readonly extras: readonly Extra[];
  readonly proxies: readonly ProxyName[];
  /** Also run nginx untuned. */
  readonly untuned: boolean;
  readonly build: Build;
}

export const HELP = `npm run bench:proxy -- [options]

CPU time per request of our proxy beside nginx, haproxy and Caddy, one core each in turn. Progress and a table go to
stderr; the last line of stdout is JSON with the medians.

  --rounds N        each round runs every proxy once per case (default 5)
  --seconds S       load per case, proxy and round (default 3)
  --cases A,B       of ${CASE_NAMES.join(' ')} ${EXTRAS.join(' ')} (default all)
  --proxies A,B     of ${PROXY_NAMES.join(' ')} (default all)
  --quick           ours, nginx and haproxy, get1k only, 3 rounds of 2 s
  --checkout DIR    measure the proxy of another checkout of orkestr
  --profile DIR     write CPU profiles of our proxy there; the figures are higher for it
  --help`;

const QUICK = { rounds: '3', seconds: '2', cases: 'get1k', proxies: 'ours,nginx,haproxy' };
const DEFAULTS = {
  rounds: '5',
  seconds: '3',
  cases: [...CASE_NAMES, ...EXTRAS].join(),
  proxies: PROXY_NAMES.join(),
};

/** Null: help was requested. @throws WrongCall that says what is wrong */
export function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      cases: { type: 'string' },
      proxies: { type: 'string' },
      checkout: { type: 'string', default: ROOT },
      profile: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const { rounds, seconds, cases, proxies } = { ...(values.quick ? QUICK : DEFAULTS), ...values };
  const wanted = listOf('case', cases, [...CASE_NAMES, ...EXTRAS]);
  return {
    rounds: numberOf('--rounds', rounds, 100),
    seconds: numberOf('--seconds', seconds, 600),
    cases: CASE_NAMES.filter((name) => wanted.includes(name)),
    extras: EXTRAS.filter((name) => wanted.includes(name)),
    proxies: listOf('proxy', proxies, PROXY_NAMES),
    untuned: !values.quick,
    build: { checkout: values.checkout, profiles: values.profile ?? null },
  };
}

function listOf<T extends string>(what: string, text: string, known: readonly T[]): T[] {
  const names = text.split(',').filter(Boolean);
  const strange = names.find((name) => !known.some((item) => item === name));
  if (strange !== undefined) throw new WrongCall(`There is no ${what} ${strange}. There are: ${known.join(' ')}`);
  return known.filter((name) => names.includes(name));
}

/** wrk takes whole seconds. */
function numberOf(option: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new WrongCall(`${option} is a whole number from 1 to ${max}, not ${text}`);
}
