/** Names: are there servers, do they answer, do they know the hub, and can builds ask them, which have IPv4 only. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseDefaultInterfaces } from '../../../protocol/service/guest-bridges.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import { lookUp } from '../host-lookup.ts';
import { ANSWER_MS, askServer } from '../name-server.ts';
import type { NameServer } from '../name-server.ts';

/** systemd-resolved on the host itself (systemd-resolved.service(8)): which servers it asks, resolv.conf does not tell. */
const STUBS = ['127.0.0.53', '127.0.0.54'];

export const dns = defineCheck({
  name: 'dns',
  about: "The name servers of /etc/resolv.conf answer, builds can ask one, and the hub's name leads somewhere.",
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
    failing: {
      level: 'fail',
      says: 'No name server of {file} finds any name.',
      mend: 'Mend the name server {server}, or write another `nameserver` line into {file}.',
    },
    'some-failing': {
      level: 'warn',
      says: 'The name server {server} of {file} finds no name: the next one is asked each time.',
      mend: 'Take it out of {file}, or mend it.',
    },
    resolved: {
      level: 'fail',
      says: 'systemd-resolved ({server} in {file}) finds no name.',
      mend: '`resolvectl status` shows which name servers it asks, `resolvectl query example.com` what comes of it. Mend the way there, or name others as `DNS=` in /etc/systemd/resolved.conf and `systemctl restart systemd-resolved`.',
    },
    late: {
      level: 'warn',
      says: 'The name server {server} of {file} is there, and had not found a name in time.',
      mend: 'Ask again: what it has found it knows. When it stays late, the servers that it asks are slow or cannot be reached (systemd-resolved: `resolvectl status` shows them).',
    },
    'no-ipv4-server': {
      level: 'warn',
      says: 'All name servers of this host have IPv6 addresses: builds, which have IPv4 only, find no name.',
      mend: 'Name one with an IPv4 address, too: `echo "nameserver 9.9.9.9" >> {file}`; with systemd-resolved as `DNS=` in /etc/systemd/resolved.conf, and `systemctl restart systemd-resolved`.',
    },
    'no-ipv4-route': {
      level: 'warn',
      says: 'This host has a way out by IPv6 and none by IPv4: builds and apps, which have IPv4 only, reach nothing outside.',
      mend: 'Give it an IPv4 address and a default route (`ip -4 route show default`). In a network with NAT64, CLAT does (464XLAT).',
    },
    'hub-unknown': {
      level: 'fail',
      says: 'The name of the hub, {host}, leads nowhere.',
      mend: 'Look with `getent hosts {host}`; correct the name server, or the DNS record of the hub.',
    },
  },
  async gather({ places, identity, exec }) {
    const text = await readOrNothing(places.resolvConf); // absent: no server is named, which is the finding
    const url = identity()?.hub?.url;
    const host = url === undefined ? null : new URL(url).hostname;
    // One that has its address in place of a name needs no name server.
    const name = host === null || isIP(host.replaceAll(/[[\]]/g, '')) !== 0 ? null : host;
    const [servers, hubError, behind, routes] = await Promise.all([
      Promise.all(serversOf(text).map((address) => askServer(address, name === null ? [] : [name]))),
      name === null ? null : lookupError(exec, name),
      readOrNothing(places.resolvedConf),
      defaultRoutes(places.proc),
    ]);
    return { file: places.resolvConf, servers, host, hubError, behind: serversOf(behind), routes };
  },
  judge({ file, servers, host, hubError, behind, routes }) {
    const answering = servers.filter(({ state }) => state === 'answers');
    const forBuilds = [...servers.map(({ address }) => address), ...behind].filter(isForBuilds);
    return {
      summary: `${answering.length} of ${servers.length} name servers answer`,
      findings: [
        ...when(servers.length === 0, { problem: 'no-servers', values: { file } }),
        ...(answering.length === 0 ? ofAll(servers, file) : ofSome(servers, file)),
        ...when(forBuilds.length > 0 && forBuilds.every((address) => isIP(address) === 6), {
          problem: 'no-ipv4-server',
          values: { file },
          evidence: forBuilds,
        }),
        ...when(routes.ipv6 && !routes.ipv4, { problem: 'no-ipv4-route' }),
        ...when(hubError !== null, {
          problem: 'hub-unknown',
          values: { host: host ?? '' },
          evidence: [hubError ?? ''],
        }),
      ],
    };
  },
});

type ServerProblem = 'silent' | 'some-silent' | 'failing' | 'some-failing' | 'resolved' | 'late';

/** None answers. One that is late may well be asked; else what one says is worse than that another is not there. */
function ofAll(servers: readonly NameServer[], file: string): Finding<ServerProblem>[] {
  const worst = (['late', 'failing', 'silent'] as const)
    .map((state) => servers.find((server) => server.state === state))
    .find((server) => server !== undefined);
  if (worst === undefined || worst.state === 'answers') return [];
  const { address, state } = worst;
  const problem = state !== 'late' && STUBS.includes(address) ? 'resolved' : state;
  return [
    { problem, values: { file, server: address }, evidence: servers.map(({ address: at, why }) => `${at}: ${why}`) },
  ];
}

/** Others answer: one that is late is no matter then. */
function ofSome(servers: readonly NameServer[], file: string): Finding<ServerProblem>[] {
  return (['silent', 'failing'] as const).flatMap((state): Finding<ServerProblem>[] => {
    const found = servers.filter((server) => server.state === state);
    const evidence = found.map(({ address, why }) => `${address}: ${why}`);
    return when(found.length > 0, {
      problem: `some-${state}`,
      values: { file, server: found[0]?.address ?? '' },
      evidence,
    });
  });
}

/** Not one that only this host can ask: builds are led to another one (agent/lib/host-network.ts). */
const isForBuilds = (address: string): boolean => !address.startsWith('127.') && address !== '::1';

interface DefaultRoutes {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** By proc(5). Where nothing is to go by IPv6, the kernel shows a default route to `lo`. */
async function defaultRoutes(proc: string): Promise<DefaultRoutes> {
  const [ipv4, ipv6] = await Promise.all(['route', 'ipv6_route'].map((file) => readOrNothing(join(proc, 'net', file))));
  return {
    ipv4: parseDefaultInterfaces(ipv4 ?? '').length > 0,
    ipv6: /^0{32} 00 (?!.* lo$)/m.test(ipv6 ?? ''),
  };
}

const readOrNothing = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** Addresses of the nameserver lines of a resolv.conf(5), of both kinds. */
const serversOf = (text: string): string[] =>
  [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, server = '']) => (isIP(server) === 0 ? [] : [server]));

/** As the agent itself looks the name up. What is not known in time the findings about the servers tell. */
const lookupError = (exec: Exec, host: string): Promise<string | null> =>
  lookUp(exec, host, ANSWER_MS).then(
    () => null,
    (error: NodeJS.ErrnoException) => (error.code === 'ETIMEOUT' ? null : error.message),
  );
