/** Faults of modes and owners, keys and identity, and what the doctor must report. */
import { chmodSync, chownSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault, Undo } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'other users can enter the state folder',
    inject: (host, undo) => open(join(host.state), 0o755, 0o700, undo),
    finds: ['files/too-open'],
    mend: /chmod 0700 /,
  },
  {
    name: "other users can read the host's key",
    inject: (host, undo) => open(join(host.state, 'host-key.pem'), 0o644, 0o600, undo),
    finds: ['files/too-open'],
    mend: /chmod 0600 \S*host-key\.pem/,
  },
  {
    name: 'every user can access the Docker socket',
    inject: (host, undo) => open(host.dockerSocket, 0o666, 0o660, undo),
    finds: ['files/engine-open'],
    mend: /chmod 0660/,
  },
  {
    name: 'the identity file belongs to another user',
    inject(host, undo) {
      const path = join(host.state, 'identity.json');
      chownSync(path, 65_534, 65_534);
      undo(() => chownSync(path, 0, 0));
    },
    finds: ['files/wrong-owner'],
    mend: /chown 0 /,
  },
  {
    name: "the host's key is truncated",
    inject(host, undo) {
      const path = join(host.state, 'host-key.pem');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before));
      truncateSync(path, 80);
    },
    finds: ['keys/host-key-damaged'],
    mend: /orkestr hosts join-token NAME/,
  },
  {
    name: "the host's key is missing",
    inject(host, undo) {
      const path = join(host.state, 'host-key.pem');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before, { mode: 0o600 }));
      rmSync(path);
    },
    finds: ['keys/host-key-missing'],
    mend: /orkestr-agent join/,
  },
  {
    name: 'the identity file is missing',
    async inject(host, undo) {
      const path = join(host.state, 'identity.json');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before, { mode: 0o600 }));
      rmSync(path);
      await host.stopAgent();
      undo(() => host.serveAgent());
    },
    finds: ['agent/identity', 'agent/absent'],
    mend: /orkestr-agent join/,
  },
  {
    name: 'the identity file is truncated while the agent runs',
    inject(host, undo) {
      const path = join(host.state, 'identity.json');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before));
      truncateSync(path, 40);
    },
    finds: ['agent/identity-damaged'],
    mend: /orkestr hosts join-token NAME/,
  },
];

function open(path: string, mode: number, right: number, undo: Undo): void {
  undo(() => chmodSync(path, right));
  chmodSync(path, mode);
}
