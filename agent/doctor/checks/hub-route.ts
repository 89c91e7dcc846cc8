/** The way from this host's proxy to the hub on the same host, where the hub is reached under a domain. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HUB_UPSTREAM } from '../../../protocol/hub-upstream.ts';
import { parseEnvironmentFile } from '../../../protocol/service/environment-file.ts';
import { hasHub, layoutAt } from '../../upgrade/layout.ts';
import { defineCheck, when } from '../check.ts';
import { takesRequests } from './proxy.ts';

export const hubRoute = defineCheck({
  name: 'hub-route',
  about: 'A hub on this host that is reached under a domain is served at it by the proxy.',
  problems: {
    missing: {
      level: 'warn',
      says: 'The hub is to be reached at https://{host}, and the proxy has no route for that.',
      mend: 'Run install.sh again with the options of the first time: `sh /opt/orkestr/current/install.sh --hub-here --domain {host} --email {email}`. Right as it is where something else of yours leads {host} to the hub.',
    },
    away: {
      level: 'fail',
      says: 'The hub does not take the requests that the proxy has for it.',
      mend: '`systemctl restart orkestr-hub`; when it ends again, `journalctl -u orkestr-hub -n 50 --no-pager` says why.',
    },
  },
  async gather({ places, proxy }) {
    const layout = layoutAt(places.root);
    if (!hasHub(layout)) return null;
    const [hubSettings, proxySettings] = await Promise.all(
      ['hub.env', 'proxy.env'].map(async (name) =>
        parseEnvironmentFile(await readFile(join(layout.settings, name), 'utf8')),
      ),
    );
    const { upstreams } = await proxy.table();
    return {
      host: hostThroughProxy(hubSettings),
      email: proxySettings?.get('ORKESTR_PROXY_ACME_EMAIL') ?? 'you@example.com',
      upstream: upstreams.find(({ id }) => id === HUB_UPSTREAM),
    };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'the hub is on another host' };
    const { host, email, upstream } = facts;
    if (host === null && upstream === undefined) return { skipped: 'the hub is not reached through this proxy' };
    const routes = upstream?.routes.map((route) => route.host) ?? [];
    return {
      summary: routes.join(', ') || 'no route',
      findings: [
        ...when(host !== null && !routes.includes(host), { problem: 'missing', values: { host: host ?? '', email } }),
        ...when(upstream !== undefined && !takesRequests(upstream), { problem: 'away' }),
      ],
    };
  },
});

/** `--domain` of install.sh: hub and apps have one address, by https. Null: something else leads to the hub, or nothing. */
function hostThroughProxy(settings: ReadonlyMap<string, string> | undefined): string | null {
  const [hub = '', apps = ''] = ['ORKESTR_HUB_URL', 'ORKESTR_APPS_URL'].map((name) => settings?.get(name));
  if (hub !== apps || !URL.canParse(hub)) return null;
  const { protocol, hostname, port } = new URL(hub);
  return protocol === 'https:' && port === '' ? hostname : null;
}
