import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import { LABEL } from '../../lib/labels.ts';
import type { Subject } from '../subject.ts';
import { orphans } from './orphans.ts';

const SCOPE = '0a0b0c0d';

/** A host that knows project `p1`. @param attached networks to which somebody attached a container of their own */
function hostWith(networks: Readonly<Record<string, string>>, attached: readonly string[]): Subject {
  const known = Object.entries(networks).map(([Name, project]) => ({
    Id: Name,
    Name,
    Labels: { [LABEL.scope]: SCOPE, [LABEL.project]: project },
    IPAM: { Config: null },
  }));
  return scripted<Subject>('subject', {
    scope: () => SCOPE,
    journal: async () => ({ live: [], deployments: [], begun: new Map(), projectIds: ['p1'], outbox: 0 }),
    engine: scripted<Subject['engine']>('engine', {
      // The doctor's list has only containers that an agent made.
      containers: async () => [],
      images: async () => [],
      networks: async () => known,
      isAttached: async (name) => attached.includes(name),
    }),
    proxy: scripted<Subject['proxy']>('proxy', { table: async () => ({ version: 1, startedAt: '', upstreams: [] }) }),
  });
}

test('a network without a known project is reported, unless a container of somebody else is attached to it', async () => {
  const networks = { 'orkestr-p1': 'p1', 'orkestr-p2': 'p2', 'orkestr-p3': 'p3' };
  const verdict = await orphans.run(hostWith(networks, ['orkestr-p2']), new AbortController().signal);
  assert.deepEqual('skipped' in verdict ? verdict : verdict.findings, [
    { problem: 'network', values: { name: 'orkestr-p3' } },
  ]);
});
