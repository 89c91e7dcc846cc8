/** Where apps are reached: default domains of environments, the domains they may have, and the URLs made of these. */
import { OrkestrError } from '../protocol/errors.ts';
import type { Domain } from '../protocol/edge.ts';
import type { Settings } from '../protocol/job.ts';

/** Longest DNS label (RFC 1035 2.3.4), octets. */
export const LABEL_LENGTH = 63;
/** Digits of an environment's id that make its name unique: the last ones, since the first encode a time. */
const ID_DIGITS = 6;

/** Slugs that could be mistaken for parts of the hub, in URLs of the console or as a subdomain. */
const RESERVED_SLUGS: ReadonlySet<string> = new Set([
  'admin',
  'agent',
  'api',
  'console',
  'git',
  'healthz',
  'hub',
  'login',
  'mail',
  'new',
  'orkestr',
  'readyz',
  'www',
]);

/** @throws OrkestrError ORK_INVALID */
export function checkProjectSlug(slug: string): void {
  if (!RESERVED_SLUGS.has(slug)) return;
  throw new OrkestrError('ORK_INVALID', `The name "${slug}" is reserved; choose another one.`, {
    evidence: ['body.slug: reserved'],
  });
}

/**
 * Default domains of an environment without its own, best first: `<project>.<apps host>` for the first environment of a
 * project, `<environment>-<project>.<apps host>` for others, and the same with digits of its id in case that is taken.
 */
export function defaultDomains(of: {
  readonly project: string;
  readonly environment: string;
  readonly environmentId: string;
  readonly isFirst: boolean;
  readonly appsUrl: string;
}): readonly Domain[] {
  const suffix = `-${of.environmentId.slice(-ID_DIGITS)}`;
  const name = of.isFirst ? of.project : `${of.environment}-${of.project}`;
  const unique = name.slice(0, LABEL_LENGTH - suffix.length).replace(/-+$/, '') + suffix;
  const host = new URL(of.appsUrl).hostname;
  const labels = name.length <= LABEL_LENGTH ? [name, unique] : [unique];
  return labels.map((label) => ({ host: `${label}.${host}`, pathPrefix: '/' }));
}

/**
 * Rejects domains that no environment may have: a duplicate; the hub's own, which would hide the console; and the
 * wildcard of the default domains.
 * @throws OrkestrError ORK_INVALID, ORK_ROUTE_TAKEN
 */
export function checkDomains(domains: readonly Domain[], urls: { readonly hub: string; readonly apps: string }): void {
  const seen = new Set<string>();
  const hub = new URL(urls.hub).hostname;
  const apps = new URL(urls.apps).hostname;
  for (const { host, pathPrefix } of domains) {
    const name = host + pathPrefix;
    if (seen.has(name)) throw new OrkestrError('ORK_INVALID', `The domain ${name} is given twice.`);
    if (covers(host, hub)) throw new OrkestrError('ORK_ROUTE_TAKEN', `The hub itself is at ${host}.`);
    if (host === `*.${apps}`) {
      throw new OrkestrError('ORK_ROUTE_TAKEN', `Names of ${host} belong to the environments that get them.`);
    }
    seen.add(name);
  }
}

/**
 * Rejects a canonical host that would redirect all visitors to where this environment does not answer.
 * @throws OrkestrError ORK_INVALID naming the host and the domains
 */
export function checkCanonicalHost({ domains, edge }: Pick<Settings, 'domains' | 'edge'>): void {
  const { canonicalHost } = edge;
  if (canonicalHost === undefined || domains.some(({ host }) => covers(host, canonicalHost))) return;
  const hosts = [...new Set(domains.map(({ host }) => host))].join(', ');
  throw new OrkestrError(
    'ORK_INVALID',
    `edge.canonicalHost is ${canonicalHost}, which is not a domain of this environment: ${hosts}.`,
    {
      evidence: [
        `Add it: orkestr environment set --add-domain ${canonicalHost}`,
        'Or remove the redirect: orkestr environment set --setting edge.canonicalHost=null',
      ],
    },
  );
}

/** Whether a routed host receives the requests for `name`; a wildcard stands for exactly one label. */
export const covers = (host: string, name: string): boolean =>
  host === name || (host.startsWith('*.') && host.slice(1) === name.replace(/^[^.]+/, ''));

/** URLs of an environment: its domains with scheme and port of `appsUrl`. */
export function environmentUrls(
  settings: { readonly domains: readonly Pick<Domain, 'host' | 'pathPrefix'>[] },
  appsUrl: string,
): string[] {
  return settings.domains.map(({ host, pathPrefix }) => {
    const url = new URL(appsUrl);
    url.hostname = host;
    url.pathname = pathPrefix;
    return url.href.replace(/\/$/, '');
  });
}
