/** What the agent made on its host: routes, containers, images, networks, the build engine, firewall rules. */
import { buildHost } from '../host.ts';
import type { Config } from '../config.ts';
import { purgeEngine } from '../docker/purge.ts';
import type { Cleanup } from './cleanup.ts';
import { inEngine } from './in-engine.ts';

/** `keepData`: keeps images, and build caches. */
export function agentThings(config: Config, scope: string, keepData: boolean): readonly Cleanup[] {
  const { engine, firewall, sandbox, ports } = buildHost(config, scope, null);
  const routes: Cleanup = {
    what: 'routes',
    run: () =>
      inEngine(async () => {
        const table = await ports.proxy.table().catch(() => null);
        // A proxy that does not run serves nobody; its routes are deleted with its own state folder.
        if (table === null) return 'the proxy is not running';
        const ours = new Set((await ports.containers.list()).map(({ environmentId }) => environmentId));
        for (const { id } of table.upstreams) if (ours.has(id)) await ports.proxy.remove(id);
        return `${ours.size} removed from the proxy`;
      }),
  };
  return [
    // With the data the table is kept: the next agent finds in it what served.
    ...(keepData ? [] : [routes]),
    {
      what: 'engine',
      run: () =>
        inEngine(async () => {
          const { kept, ...removed } = await purgeEngine(engine, scope, { keepData });
          const done = `${removed.containers} containers, ${removed.images} images, ${removed.networks} networks removed`;
          return kept.length === 0 ? done : { warning: `${done}; ${kept.map(whyKept).join('; ')}` };
        }),
    },
    {
      what: 'build sandbox',
      run: () => (keepData ? sandbox.stop().then(() => 'stopped') : sandbox.purge().then(() => 'stopped and removed')),
    },
    { what: 'firewall', run: () => firewall.remove().then(() => 'rules removed') },
  ];
}

/** A container that is not orkestr's could not start again without its network. */
function whyKept({ name, containers }: Awaited<ReturnType<typeof purgeEngine>>['kept'][number]): string {
  const users = containers.join(', ') || 'a container';
  return `the network ${name} stays, because something that is not orkestr's uses it (${users}). After that: docker network rm ${name}`;
}
