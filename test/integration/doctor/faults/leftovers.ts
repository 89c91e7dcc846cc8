/** Leftovers that nothing needs any more, and what the doctor must report. */
import { randomUUID } from 'node:crypto';
import { LABEL } from '../../../../agent/lib/labels.ts';
import type { Fault } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'a container of ours is left over',
    inject(host, undo) {
      host.makeContainer('left-over');
      undo(() => host.docker('rm', '--force', 'left-over'));
    },
    finds: ['orphans/container'],
    mend: /docker rm -f left-over/,
  },
  {
    name: 'a network of ours is left over',
    inject(host, undo) {
      const labels = [`${LABEL.scope}=${host.scope}`, `${LABEL.project}=${randomUUID()}`];
      host.docker('network', 'create', ...labels.flatMap((label) => ['--label', label]), 'left-over');
      undo(() => host.docker('network', 'rm', 'left-over'));
    },
    finds: ['orphans/network'],
    mend: /docker network rm left-over/,
  },
  {
    name: 'an image of ours is left over',
    inject(host, undo) {
      const change = `LABEL ${LABEL.scope}=${host.scope} ${LABEL.deployment}=${randomUUID()}`;
      host.importImage('left-over:1', ['--change', change]);
      undo(() => host.docker('rmi', 'left-over:1'));
    },
    finds: ['orphans/image'],
    mend: /docker rmi left-over:1/,
  },
];
