/** Faults of the proxy, its ports, and what it serves, and what the doctor must report. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createRawServer } from 'node:net';
import { EdgeSettings } from '../../../../protocol/edge.ts';
import { HUNG_MS, listen } from './fault.ts';
import type { Fault } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'the proxy is stopped',
    async inject(host, undo) {
      await host.stopProxy();
      undo(() => host.startProxy());
    },
    finds: ['proxy/absent', 'ports/nobody'],
    mend: /systemctl start orkestr-proxy/,
  },
  {
    name: 'the proxy hangs',
    inject(host, undo) {
      process.kill(host.proxy.pid, 'SIGSTOP');
      undo(() => process.kill(host.proxy.pid, 'SIGCONT'));
      return { answerMs: HUNG_MS };
    },
    finds: ['proxy/silent'],
    mend: /systemctl restart orkestr-proxy/,
  },
  {
    name: "both copies of the proxy's table are damaged",
    async inject(host, undo) {
      await host.stopProxy();
      const files = host.tableFiles().map((path) => [path, readFileSync(path)] as const);
      undo(() => host.startProxy());
      undo(() => files.forEach(([path, before]) => writeFileSync(path, before)));
      undo(() => host.stopProxy());
      for (const [path] of files) writeFileSync(path, '{"version":1,"upstreams":[{');
      await host.startProxy();
    },
    finds: ['proxy/table-unreadable', 'drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
  },
  {
    name: 'another program listens on the port of the proxy',
    async inject(host, undo) {
      await host.stopProxy();
      undo(() => host.startProxy());
      const port = await listen(createRawServer(), undo);
      return { places: { ports: [port] } };
    },
    finds: ['proxy/absent', 'ports/held'],
    mend: /systemctl start orkestr-proxy/,
  },
  {
    name: 'another program listens on port 80, and the proxy elsewhere',
    inject: async (_host, undo) => ({ places: { ports: [await listen(createRawServer(), undo)] } }),
    finds: ['ports/held-beside'],
    mend: new RegExp(`kill ${process.pid}\``),
  },
  {
    name: 'the container of the app is stopped',
    inject(host, undo) {
      host.docker('stop', '--time', '0', host.containerName);
      undo(() => host.docker('start', host.containerName));
    },
    finds: ['drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
    tells: /its container does not run/,
  },
  {
    name: "the proxy's table has another address for the app",
    async inject(host, undo) {
      const [upstream] = (await host.proxy.table()).upstreams;
      const [target] = upstream?.targets ?? [];
      if (upstream === undefined || target === undefined) throw new Error('the well host serves nothing');
      const flipTo = (address: string): Promise<unknown> =>
        host.proxy.flip({
          entry: {
            id: upstream.id,
            generation: upstream.generation,
            routes: [...upstream.routes],
            edge: EdgeSettings.parse({}),
            targets: [{ id: target.id, port: target.port, address }],
          },
          expectedGeneration: upstream.generation,
        });
      await flipTo('172.31.255.254');
      undo(() => flipTo(target.address));
    },
    finds: ['drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
    tells: /its address has changed/,
  },
  {
    name: 'the proxy has a route of an unknown environment',
    async inject(host, undo) {
      const id = randomUUID();
      const target = { id: randomUUIDv7(), address: '172.31.255.254', port: 80 };
      const routes = [{ host: 'lost.example.com', pathPrefix: '/' }];
      const entry = { id, generation: 1, targets: [target], routes, edge: EdgeSettings.parse({}) };
      await host.proxy.flip({ entry, expectedGeneration: 0 });
      undo(() => host.removeRoute(id));
    },
    finds: ['drift/route-to-nothing'],
    mend: /Deploy the environment again/,
  },
];
