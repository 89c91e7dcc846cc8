/** A bare host becomes a hub with https by one command: its edge gets the certificate from a CA on this machine. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPebble } from '../harness/pebble.ts';
import type { Pebble } from '../harness/pebble.ts';
import { containerImage } from '../lab/container/image.ts';
import type { LabHost } from '../lab/host.ts';
import { Lab, RELEASE_ON_HOST } from '../lab/lab.ts';
import { PREPARED } from '../lab/server.ts';

/** The engine's name server has a host's name. */
const DOMAIN = 'hub.lab.test';
const CA_FILE = '/etc/orkestr/ca.pem';
const ROOT_FILE = '/etc/orkestr/root.pem';
/** Longest wait for the CA. */
const CERTIFICATE_MS = 120_000;

describe('install.sh --hub-here --domain', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ork-hub-certificate-'));
  let lab: Lab | undefined;
  let host: LabHost;
  let pebble: Pebble | undefined;
  before(async () => {
    lab = await Lab.open(() => undefined);
    await lab.release();
    host = await lab.boot(DOMAIN, await containerImage(PREPARED, console.log));
    const route = await host.must(['ip', 'route', 'show', 'default']);
    const machine = /^default via (\S+)/.exec(route)?.[1] ?? assert.fail(`no gateway: ${route}`);
    pebble = await startPebble({ folder, address: machine, httpPort: 80, tlsPort: 443 });
    await pebble.setAddresses(DOMAIN, [await host.address()]);
    // A CA that is named before is kept, and its own https is trusted.
    const settings = `ORKESTR_PROXY_ACME=${pebble.directory}\nORKESTR_PROXY_ACME_CA=${CA_FILE}\n`;
    await host.must(['mkdir', '/etc/orkestr']);
    await host.must(['tee', '/etc/orkestr/proxy.env'], settings);
    await host.must(['tee', CA_FILE], readFileSync(pebble.caFile, 'utf8'));
    await host.must(['tee', ROOT_FILE], pebble.root);
  });
  after(async () => {
    await pebble?.stop();
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the hub answers at https://DOMAIN with a certificate of the CA that proxy.env names', async () => {
    const install = ['sh', `${RELEASE_ON_HOST}/install.sh`, '--hub-here', '--offline', RELEASE_ON_HOST];
    await host.must([...install, '--domain', DOMAIN, '--email', 'you@example.com']);
    const ask = ['curl', '-sS', '--cacert', ROOT_FILE, `https://${DOMAIN}/healthz`];
    let answer = await host.run(ask);
    for (const end = Date.now() + CERTIFICATE_MS; answer.code !== 0 && Date.now() < end; answer = await host.run(ask)) {
      await sleep(200);
    }
    const isRight = answer.stdout === '{"status":"ok"}';
    if (!isRight) console.error((await host.run(['journalctl', '-u', 'orkestr-proxy'])).stdout);
    assert.ok(isRight, answer.stderr + answer.stdout);
  });
});
