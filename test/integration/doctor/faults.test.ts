/** Injects faults into a real host. The doctor must find and name each one correctly, and report nothing else. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FAULTS } from './faults/index.ts';
import { Host } from './host.ts';

/** These depend only on version numbers, so on this machine and not on the faults. */
const ofVersions = (id: string): boolean => id.startsWith('runtime/');
/** Whether these checks have anything to look at depends on the programs installed on this machine. */
const OF_FIREWALLS: readonly string[] = ['nftables', 'legacy-rules'];

describe('doctor', () => {
  let host: Host;
  before(async () => {
    host = await Host.start();
  });
  after(() => host.stop());

  test('finds nothing on a healthy host', async () => {
    const { ids, report } = await host.problems();
    assert.deepEqual(
      ids.filter((id) => !ofVersions(id)),
      [],
      JSON.stringify(report, null, 1),
    );
    const skipped = report.checks.filter(({ level }) => level === 'skipped').map(({ name }) => name);
    assert.deepEqual(
      skipped.filter((name) => !OF_FIREWALLS.includes(name)),
      ['hub-route', 'registry', 'units', 'upgrade'],
    );
  });

  for (const fault of FAULTS) {
    test(`finds and names: ${fault.name}`, async () => {
      const undoing: (() => unknown)[] = [];
      try {
        const changes = (await fault.inject(host, (work) => undoing.unshift(work))) ?? {};
        const { report, ids } = await host.problems(changes);
        const found = ids.filter((id) => !ofVersions(id));
        assert.deepEqual(found, fault.finds, JSON.stringify(report, null, 1));
        const first = report.checks.flatMap(({ problems }) => problems).find(({ id }) => id === found[0]);
        assert.match(first?.mend ?? '', fault.mend);
        if (fault.tells) assert.match([first?.says, ...(first?.evidence ?? [])].join('\n'), fault.tells);
      } finally {
        for (const work of undoing) await work();
      }
    });
  }
});
