/** Queries one name server, and distinguishes one that works from one that fails, is late, or is not there. */
import { Resolver } from 'node:dns/promises';

/** A check has little more time. */
export const ANSWER_MS = 900;
/** Known to every server that reaches the internet; NXDOMAIN would be an answer, too. */
const ANY_NAME = 'example.com';
/** A server answers this name itself (RFC 6761, 6.3): any response, even a failure, shows that it is there. */
const NEAR_NAME = 'localhost';
/** Codes of a conclusive response. After the others (SERVFAIL, REFUSED, …) a resolver tries the next server. */
const FOUND = ['ENOTFOUND', 'ENODATA'];
const AWAY = ['ETIMEOUT', 'ECANCELLED', 'ECONNREFUSED'];

export interface NameServer {
  readonly address: string;
  /** late: it is there but still resolving, as a server does for names that it has not cached. */
  readonly state: 'answers' | 'late' | 'failing' | 'silent';
  /** The evidence; empty: it answers. */
  readonly why: string;
}

/** @param names further names that it should resolve: in a network without internet they may be the only ones */
export async function askServer(address: string, names: readonly string[]): Promise<NameServer> {
  const resolver = new Resolver({ tries: 1 });
  resolver.setServers([address]);
  // Its own `timeout` is no upper bound: with 900 ms it took up to twice as long.
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

/** If nothing listens, the kernel reports that at once. */
const nothing = (answers: readonly (string | null)[]): string =>
  answers.includes('ECONNREFUSED') ? 'ECONNREFUSED' : `no answer in ${ANSWER_MS} ms`;
