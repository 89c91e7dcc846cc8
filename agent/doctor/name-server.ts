/** Asks one name server, and tells one that works from one that finds nothing, is late, or is not there. */
import { Resolver } from 'node:dns/promises';

/** A check has little more. */
export const ANSWER_MS = 900;
/** Known to every server that reaches the internet; that there is no such name is an answer, too. */
const ANY_NAME = 'example.com';
/** A server has this one itself (RFC 6761, 6.3): what it says, and be it a failure, tells that it is there. */
const NEAR_NAME = 'localhost';
/** Of a server that looked and knows. The others (SERVFAIL, REFUSED, …) send whoever asks to the next server. */
const FOUND = ['ENOTFOUND', 'ENODATA'];
const AWAY = ['ETIMEOUT', 'ECANCELLED', 'ECONNREFUSED'];

export interface NameServer {
  readonly address: string;
  /** late: it is there and still looks, as it does for a name that nobody has asked it for before. */
  readonly state: 'answers' | 'late' | 'failing' | 'silent';
  /** How that is known; empty: it answers. */
  readonly why: string;
}

/** @param names that it should find beside those that everybody knows: of a network without internet it may be the only one */
export async function askServer(address: string, names: readonly string[]): Promise<NameServer> {
  const resolver = new Resolver({ tries: 1 });
  resolver.setServers([address]);
  // Its own `timeout` is a measure and no bound: with 900 ms it took up to twice as long.
  const timer = setTimeout(() => resolver.cancel(), ANSWER_MS);
  const ask = (name: string): Promise<string | null> =>
    resolver.resolve4(name).then(
      () => null,
      (error: NodeJS.ErrnoException) => (FOUND.includes(error.code ?? '') ? null : (error.code ?? error.message)),
    );
  const [near, ...answers] = await Promise.all([NEAR_NAME, ANY_NAME, ...names].map(ask));
  clearTimeout(timer);
  if (answers.includes(null)) return { address, state: 'answers', why: '' };
  const failure = answers.find((code) => !AWAY.includes(code ?? ''));
  if (failure) return { address, state: 'failing', why: `${failure} for ${[ANY_NAME, ...names].join(', ')}` };
  const isThere = !AWAY.includes(near ?? '');
  return { address, state: isThere ? 'late' : 'silent', why: nothing(answers) };
}

/** Where nobody listens the kernel says so at once. */
const nothing = (answers: readonly (string | null)[]): string =>
  answers.includes('ECONNREFUSED') ? 'ECONNREFUSED' : `no answer in ${ANSWER_MS} ms`;
