/** Faults of Docker Engine and its kernel support, and what the doctor must report. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureEngine, stopEngine } from '../../../../installer/prepare/engine.ts';
import { enginePlan } from '../host.ts';
import type { Host } from '../host.ts';
import { HUNG_MS } from './fault.ts';
import type { Fault } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'Docker Engine is stopped',
    inject: (host) => ({ config: { dockerSocket: join(host.folder, 'nobody.sock') } }),
    finds: ['engine/unreachable'],
    mend: /systemctl start docker/,
  },
  {
    name: 'Docker Engine hangs',
    async inject(host, undo) {
      const pid = await host.enginePid();
      process.kill(pid, 'SIGSTOP');
      undo(() => process.kill(pid, 'SIGCONT'));
      return { answerMs: HUNG_MS };
    },
    finds: ['engine/hangs'],
    mend: /systemctl restart docker/,
  },
  {
    name: 'live-restore is off',
    async inject(host, undo) {
      const before = readFileSync(host.daemonConfig, 'utf8');
      await reload(host, before.replace('"live-restore": true', '"live-restore": false'));
      undo(() => reload(host, before));
    },
    finds: ['live-restore/off'],
    mend: /"live-restore": true.*systemctl reload docker/,
  },
  {
    name: 'Docker Engine copies every layer (vfs), on a new host',
    async inject(host, undo) {
      const plan = enginePlan(host.folder, 'vfs', ['unshare', '--net', '--', 'env', 'DOCKER_DRIVER=vfs']);
      undo(() => stopEngine(plan));
      await ensureEngine(plan, () => undefined);
      host.copyBaseImages(plan.socket);
      const stateFolder = host.copyState(join(host.folder, 'new'));
      undo(() => rmSync(stateFolder, { recursive: true }));
      rmSync(join(stateFolder, 'journal.sqlite'));
      return { config: { dockerSocket: plan.socket, stateFolder } };
    },
    finds: ['storage/slow-driver'],
    mend: /"storage-driver": "overlay2"/,
  },
  {
    name: 'the kernel has no pids control group',
    inject(host, undo) {
      const cgroup = join(host.folder, 'cgroup');
      mkdirSync(cgroup);
      undo(() => rmSync(cgroup, { recursive: true }));
      writeFileSync(join(cgroup, 'cgroup.controllers'), 'cpu memory io\n');
      return { places: { cgroup } };
    },
    finds: ['cgroup/controller-missing'],
    mend: /cgroup_disable=pids/,
  },
];

/** Dockerd rereads live-restore, among other settings, on SIGHUP. */
async function reload(host: Host, config: string): Promise<void> {
  writeFileSync(host.daemonConfig, config);
  const wanted = String(config.includes('"live-restore": true'));
  process.kill(await host.enginePid(), 'SIGHUP');
  for (let tries = 0; tries < 100; tries += 1) {
    if (host.docker('info', '--format', '{{.LiveRestoreEnabled}}') === wanted) return;
    await delay(50);
  }
  throw new Error('the engine does not read its settings anew');
}
