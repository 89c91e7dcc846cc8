import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedHost } from './host.testing.ts';

const install =
  'for step in add_user make_folder keep_containers install_units start_units; do eval "$step() { :; }"; done; install_host';

test('a channel that was given is kept for upgrades', async (t) => {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  await host.run(install);
  assert.doesNotMatch(host.read('etc/orkestr/agent.env'), /ORKESTR_CHANNEL/);
  await host.run(install, '--channel', 'beta');
  assert.match(host.read('etc/orkestr/agent.env'), /^ORKESTR_LOG_LEVEL=info\nORKESTR_CHANNEL=beta$/m);
});

test('what the doctor finds of the rules of nftables is told at the end; where it finds nothing, nothing is', async (t) => {
  for (const [options, code, told] of [
    [[], 2, 'fail  nftables\n'],
    [[], 0, ''],
    [['--dry-run'], 2, ''],
  ] as const) {
    const host = new ScriptedHost(t);
    host.file('var/lib/orkestr/agent/identity.json', '{}');
    host.program('nft', {});
    const agent = `#!/bin/sh\n[ "$*" = 'doctor nftables' ] && echo 'fail  nftables'; exit ${code}\n`;
    host.file('opt/orkestr/current/bin/orkestr-agent', agent, 0o755);
    const { code: ended, stderr } = await host.run('check_nftables', ...options);
    assert.deepEqual([ended, stderr], [0, told]);
  }
});
