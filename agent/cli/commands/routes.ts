/** `orkestr-agent routes`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import { makeProxyClient } from '../../proxy-client/edge-proxy.ts';
import { showRoutes } from '../../routes/watch-routes.ts';
import { askNames } from '../../local-api/client.ts';

const ROUTES_HELP = `
Examples:
  $ orkestr-agent routes                      # live: targets, in flight, streams, requests per second, errors
  $ orkestr-agent routes --once
  $ orkestr-agent routes --json | jq '.upstreams[] | {name, generation, held}'

Needs only the proxy's admin socket; a running agent adds the names of projects.`;

/** Adds `routes`. */
export function addRoutesCommand(cli: Command): void {
  cli
    .command('routes')
    .description('show the current routes and their targets; on a terminal, refreshes until Ctrl-C')
    .option('--json', 'one snapshot for programs')
    .option('--once', 'one snapshot, also on a terminal')
    .addHelpText('after', ROUTES_HELP)
    .action(routes);
}

async function routes({ json, once }: { json?: true; once?: true }): Promise<void> {
  const { proxySocket, agentSocket } = readConfig();
  const over = new AbortController();
  process.once('SIGINT', () => over.abort());
  const parts = {
    proxy: makeProxyClient(proxySocket),
    names: () => askNames(agentSocket),
    out: process.stdout,
    monotonic: () => systemClock.monotonic(),
  };
  await showRoutes(parts, { json: json === true, once: once === true, signal: over.signal });
}
