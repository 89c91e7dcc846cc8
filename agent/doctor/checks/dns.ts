/** Names: are there servers, do they answer, and do they know the hub. */
import { lookup, Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { defineCheck, when } from '../check.ts';

const ANSWER_MS = 700;
/** Any answer will do, also that there is no such name (RFC 6761, 6.5). */
const ANY_NAME = 'example.com';
/** Answers of a server that works. */
const ANSWERED = ['ENOTFOUND', 'ENODATA', 'EREFUSED', 'ESERVFAIL', 'EFORMERR', 'ENOTIMP'];

interface Server {
  readonly address: string;
  /** Null: it answers. */
  readonly error: string | null;
}

export const dns = defineCheck({
  name: 'dns',
  about: "The name servers of /etc/resolv.conf answer, and the hub's name leads somewhere.",
  problems: {
    'no-servers': {
      level: 'fail',
      says: '{file} names no name server: nothing can be fetched by name.',
      mend: '`echo "nameserver 9.9.9.9" >> {file}`, or mend what writes it: `ls -l {file}`.',
    },
    silent: {
      level: 'fail',
      says: 'No name server of {file} answers.',
      mend: 'Check the way there: `ping -c1 {server}`; or write another `nameserver` line into {file}.',
    },
    'some-silent': {
      level: 'warn',
      says: 'The name server {server} of {file} does not answer: every look-up that asks it first is slow.',
      mend: 'Take it out of {file}, or mend the way there: `ping -c1 {server}`.',
    },
    'hub-unknown': {
      level: 'fail',
      says: 'The name of the hub, {host}, leads nowhere.',
      mend: 'Look with `getent hosts {host}`; correct the name server, or the DNS record of the hub.',
    },
  },
  async gather({ places, identity }) {
    const text = await readFile(places.resolvConf, 'utf8').catch(() => ''); // absent: no server is named, which is the finding
    const url = identity()?.hub?.url;
    const host = url === undefined ? null : new URL(url).hostname;
    const [servers, hubError] = await Promise.all([
      Promise.all(serversOf(text).map(askServer)),
      host === null || isIP(host.replaceAll(/[[\]]/g, '')) !== 0 ? null : lookupError(host),
    ]);
    return { file: places.resolvConf, servers, host, hubError };
  },
  judge({ file, servers, host, hubError }) {
    const silent = servers.filter(({ error }) => error !== null);
    const evidence = silent.map(({ address, error }) => `${address}: ${error}`);
    const server = silent[0]?.address ?? '';
    const all = silent.length === servers.length;
    return {
      summary: `${servers.length - silent.length} of ${servers.length} name servers answer`,
      findings: [
        ...when(servers.length === 0, { problem: 'no-servers', values: { file } }),
        ...when(silent.length > 0, { problem: all ? 'silent' : 'some-silent', values: { file, server }, evidence }),
        ...when(hubError !== null, {
          problem: 'hub-unknown',
          values: { host: host ?? '' },
          evidence: [hubError ?? ''],
        }),
      ],
    };
  },
});

/** Addresses of the nameserver lines of a resolv.conf(5), of both kinds. */
const serversOf = (text: string): string[] =>
  [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, server = '']) => (isIP(server) === 0 ? [] : [server]));

async function askServer(address: string): Promise<Server> {
  const resolver = new Resolver({ timeout: ANSWER_MS, tries: 1 });
  resolver.setServers([address]);
  try {
    await resolver.resolve4(ANY_NAME);
    return { address, error: null };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { address, error: ANSWERED.includes(code) ? null : code };
  }
}

/** As the agent itself looks the name up: with /etc/hosts. */
const lookupError = (host: string): Promise<string | null> =>
  lookup(host).then(
    () => null,
    (error: Error) => error.message,
  );
