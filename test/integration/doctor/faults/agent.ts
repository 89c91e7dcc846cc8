/** Faults of the agent and its journal, and what the doctor must report. */
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createRawServer } from 'node:net';
import { join } from 'node:path';
import { HUNG_MS } from './fault.ts';
import type { Fault } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'the journal is damaged',
    inject(host, undo) {
      const path = join(host.state, 'journal.sqlite');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before, { mode: 0o600 }));
      writeFileSync(path, Buffer.concat([before.subarray(0, 4096), Buffer.alloc(before.length - 4096, 0xa5)]));
    },
    finds: ['journal/damaged'],
    mend: /systemctl restart orkestr-agent/,
  },
  {
    name: 'the agent is stopped',
    async inject(host, undo) {
      undo(() => host.serveAgent());
      await host.stopAgent();
    },
    finds: ['agent/absent'],
    mend: /systemctl start orkestr-agent/,
  },
  {
    name: 'the agent hangs',
    async inject(host, undo) {
      const socket = join(host.folder, 'run', 'hung.sock');
      const server = createRawServer().listen({ path: socket });
      undo(() => server.close());
      await once(server, 'listening');
      chmodSync(socket, 0o600);
      return { config: { agentSocket: socket }, answerMs: HUNG_MS };
    },
    finds: ['agent/silent'],
    mend: /systemctl restart orkestr-agent/,
  },
];
