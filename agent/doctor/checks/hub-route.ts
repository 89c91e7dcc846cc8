/** The route from this host's proxy to the hub on the same host, if the hub has a domain. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HUB_UPSTREAM } from '../../../protocol/hub-upstream.ts';
import { parseEnvironmentFile } from '../../../protocol/service/environment-file.ts';
import { hasHub, layoutAt } from '../../upgrade/layout.ts';
import { defineCheck, when } from '../check.ts';
import { takesRequests } from './proxy.ts';

export const hubRoute = defineCheck({
  name: 'hub-route',
  about: 'If a hub on this host has a domain, the proxy serves it there.',
  problems: {
    missing: {
      level: 'warn',
      says: 'The hub should be reachable at https://{host}, but the proxy has no route for it.',
      mend: 'Run install.sh again with its original options: `sh /opt/orkestr/current/install.sh --hub-here --domain {host} --email {email}`. If something else forwards {host} to the hub, this is fine.',
    },
    away: {
      level: 'fail',
      says: 'The hub does not accept requests from the proxy.',
      mend: 'Run `systemctl restart orkestr-hub`. If it stops again, `journalctl -u orkestr-hub -n 50 --no-pager` shows why.',
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

/** The domain of install.sh's `--domain`: hub and apps share an https address. Null: the hub is reached otherwise. */
function hostThroughProxy(settings: ReadonlyMap<string, string> | undefined): string | null {
  const [hub = '', apps = ''] = ['ORKESTR_HUB_URL', 'ORKESTR_APPS_URL'].map((name) => settings?.get(name));
  if (hub !== apps || !URL.canParse(hub)) return null;
  const { protocol, hostname, port } = new URL(hub);
  return protocol === 'https:' && port === '' ? hostname : null;
}
