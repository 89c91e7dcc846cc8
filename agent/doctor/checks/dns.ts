/**
 * DNS: are there name servers, do they answer, do they know the hub, and can builds, which have IPv4 only, use them.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseDefaultInterfaces } from '../../../protocol/service/guest-bridges.ts';
import type { Exec } from '../../lib/exec.ts';
import { isOnThisHost, parseEngineNameServers } from '../../lib/name-servers.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import { lookUp } from '../host-lookup.ts';
import { ANSWER_MS, askServer } from '../name-server.ts';
import type { NameServer } from '../name-server.ts';

/** systemd-resolved on the host (systemd-resolved.service(8)): resolv.conf does not show which servers it queries. */
const STUBS = ['127.0.0.53', '127.0.0.54'];

export const dns = defineCheck({
  name: 'dns',
  about: "The name servers in /etc/resolv.conf answer, builds can use one of them, and the hub's name resolves.",
  problems: {
    'no-servers': {
      level: 'fail',
      says: '{file} lists no name server, so no name can be resolved.',
      mend: 'Run `echo "nameserver 9.9.9.9" >> {file}`, or fix the program that writes the file: `ls -l {file}`.',
    },
    silent: {
      level: 'fail',
      says: 'No name server in {file} answers.',
      mend: 'Check the connection: `ping -c1 {server}`. Or add another `nameserver` line to {file}.',
    },
    'some-silent': {
      level: 'warn',
      says: 'The name server {server} in {file} does not answer, so every lookup that asks it first is slow.',
      mend: 'Remove it from {file}, or fix the connection to it: `ping -c1 {server}`.',
    },
    failing: {
      level: 'fail',
      says: 'No name server in {file} resolves any name.',
      mend: 'Fix the name server {server}, or add another `nameserver` line to {file}.',
    },
    'some-failing': {
      level: 'warn',
      says: 'The name server {server} in {file} resolves no name, so each lookup falls back to the next one.',
      mend: 'Remove it from {file}, or fix it.',
    },
    resolved: {
      level: 'fail',
      says: 'systemd-resolved ({server} in {file}) resolves no name.',
      mend: '`resolvectl status` shows which name servers it asks, `resolvectl query example.com` the result. Fix the connection to them, or set others with `DNS=` in /etc/systemd/resolved.conf and run `systemctl restart systemd-resolved`.',
    },
    late: {
      level: 'warn',
      says: 'The name server {server} in {file} is reachable, but did not resolve a name in time.',
      mend: 'Try again: it caches names that it has resolved. If it stays slow, the servers that it asks are slow or unreachable (systemd-resolved: `resolvectl status` shows them).',
    },
    'no-ipv4-server': {
      level: 'warn',
      says: 'All name servers of this host have IPv6 addresses: builds have IPv4 only and cannot resolve names.',
      mend: 'Add one with an IPv4 address: `echo "nameserver 9.9.9.9" >> {file}`; with systemd-resolved, add it as `DNS=` in /etc/systemd/resolved.conf and run `systemctl restart systemd-resolved`.',
    },
    'loopback-only': {
      level: 'warn',
      says: 'Only this host itself can reach its name servers: builds cannot resolve names, and apps use public servers instead.',
      mend: 'Put a name server with an IPv4 address that other machines can reach into /etc/docker/daemon.json, for example `"dns": ["9.9.9.9"]`, then run `systemctl restart docker`. Builds and apps then use it; with live-restore, apps keep running meanwhile.',
    },
    'no-ipv4-route': {
      level: 'warn',
      says: 'This host reaches the internet by IPv6 only: builds and apps have IPv4 only and cannot reach it.',
      mend: 'Give the host an IPv4 address and a default route (check with `ip -4 route show default`). In a network with NAT64, set up CLAT (464XLAT).',
    },
    'hub-unknown': {
      level: 'fail',
      says: 'The name of the hub, {host}, does not resolve.',
      mend: 'Check with `getent hosts {host}`. Correct the name server, or the DNS record of the hub.',
    },
  },
  async gather({ places, identity, exec }) {
    const text = await readOrNothing(places.resolvConf); // if absent, no server is listed, which is the finding
    const url = identity()?.hub?.url;
    const host = url === undefined ? null : new URL(url).hostname;
    // An address in place of a name needs no name server.
    const name = host === null || isIP(host.replaceAll(/[[\]]/g, '')) !== 0 ? null : host;
    const [servers, hubError, resolved, engine, routes] = await Promise.all([
      Promise.all(serversOf(text).map((address) => askServer(address, name === null ? [] : [name]))),
      name === null ? null : lookupError(exec, name),
      readOrNothing(places.resolvedConf),
      readOrNothing(places.engineSettings),
      defaultRoutes(places.proc),
    ]);
    const behind = [...serversOf(resolved), ...parseEngineNameServers(engine)];
    return { file: places.resolvConf, servers, host, hubError, behind, routes };
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
        ...when(forBuilds.length === 0 && answering.length > 0, {
          problem: 'loopback-only',
          evidence: servers.map(({ address }) => address),
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

/** None answers. A late one may well be usable; else an error response says more than a server that is not there. */
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

/** Others answer, so a late one does not matter. */
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

/** Excludes servers that only this host can reach: builds are given another one (agent/lib/name-servers.ts). */
const isForBuilds = (address: string): boolean => !isOnThisHost(address);

interface DefaultRoutes {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** From proc(5). If IPv6 is unreachable, the kernel shows a default route to `lo`. */
async function defaultRoutes(proc: string): Promise<DefaultRoutes> {
  const [ipv4, ipv6] = await Promise.all(['route', 'ipv6_route'].map((file) => readOrNothing(join(proc, 'net', file))));
  return {
    ipv4: parseDefaultInterfaces(ipv4 ?? '').length > 0,
    ipv6: /^0{32} 00 (?!.* lo$)/m.test(ipv6 ?? ''),
  };
}

const readOrNothing = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** Addresses of the nameserver lines of a resolv.conf(5), IPv4 and IPv6. */
const serversOf = (text: string): string[] =>
  [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, server = '']) => (isIP(server) === 0 ? [] : [server]));

/** Resolves the name as the agent itself does. A timeout is left to the findings about the servers. */
const lookupError = (exec: Exec, host: string): Promise<string | null> =>
  lookUp(exec, host, ANSWER_MS).then(
    () => null,
    (error: NodeJS.ErrnoException) => (error.code === 'ETIMEOUT' ? null : error.message),
  );
