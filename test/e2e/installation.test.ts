/**
 * One host with systemd and its own engine: installed like a person would, used, and uninstalled. One story in the order
 * of its tests.
 */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { CASES } from '../../protocol/service/test-environment-file.ts';
import { until } from '../harness/until.ts';
import { containerImage } from '../lab/container/image.ts';
import type { LabHost } from '../lab/host.ts';
import { differences, takeInventory } from '../lab/inventory.ts';
import type { Inventory } from '../lab/inventory.ts';
import { Lab, RELEASE_ON_HOST } from '../lab/lab.ts';
import { PREPARED } from '../lab/server.ts';
import { addTheirs, startOfTheirs } from '../lab/theirs.ts';
import { visitDuring } from '../lab/visits.ts';

const INSTALL = ['sh', `${RELEASE_ON_HOST}/install.sh`];
const HUB_HERE = [...INSTALL, '--hub-here', '--offline', RELEASE_ON_HOST];

/**
 * How long `doctor` and `status` may take in the best of three runs, ms. On an idle machine they end in 2 s; where other
 * tests run, the start of Node alone takes seconds. One that has no limit of its own waits longer for an engine that
 * hangs.
 */
const MAX_MS = 8000;

/** Runs a program until it says that it does something, and kills it there. */
const CUT = `
: >/tmp/said
setsid "$@" >/tmp/said 2>&1 & run=$!
until grep -q "^doing    $0" /tmp/said; do kill -0 $run || exit; sleep 0.02; done
kill -s KILL -- -$run
wait $run`;

const OWN_AUTHORITIES = '/usr/local/share/ca-certificates';
/** A private authority that nobody trusts, and its certificate for localhost. */
const PRIVATE_AUTHORITY = `
mkdir -m 700 /tls && cd /tls
cp -a /etc/ssl/certs .
new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
$new -subj "/CN=Private authority" -keyout ca.key -out ca.pem
$new -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \\
  -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem`;
const SECURE_SERVER = `
const { readFileSync } = require('node:fs');
const files = { key: readFileSync('/tls/key.pem'), cert: readFileSync('/tls/cert.pem') };
require('node:https').createServer(files, (request, answer) => answer.writeHead(418).end('{}')).listen(8443);`;

describe('install.sh on a host of its own', () => {
  let lab: Lab;
  let host: LabHost;
  let bare: Inventory;
  /** Start of the container of somebody else. */
  let started: string;
  before(async () => {
    lab = await Lab.open(() => undefined);
    await lab.release();
    host = await lab.boot('vps', await containerImage(PREPARED, console.log));
    // Debian 13 has it in a separate package: nothing of ours may need it.
    await host.must(['rm', '/usr/bin/docker']);
    await addTheirs(host);
    bare = await takeInventory(host);
    started = await startOfTheirs(host);
  });
  after(() => lab.close());

  const untouched = async (): Promise<void> => assert.deepEqual(differences(bare, await takeInventory(host)), []);
  const mainPids = (...units: string[]): Promise<string> =>
    host.must(['systemctl', 'show', '--property=MainPID', '--value', ...units]);

  test('a dry run shows what it would do, and changes nothing', async () => {
    const said = await host.must([...HUB_HERE, '--dry-run']);
    assert.match(said, /^would {4}unpack orkestr/m);
    assert.match(said, /things would change; nothing was changed\./);
    await untouched();
  });

  test('options that make no sense are refused, with what to type instead', async () => {
    const cases: [string[], RegExp][] = [
      [['--nonsense'], /There is no option --nonsense\.\n.*--help/],
      [['--hub'], /--hub has no value/],
      [[], /Give a hub to join \(--hub URL\), or --hub-here/],
      [['--hub', 'https://x/$(id)'], /--hub: "https:\/\/x\/\$\(id\)" is not valid/],
      [['--hub-here', '--email', 'a@example.com\nORKESTR_X=1'], /--email: .*\n.* is not valid/],
      [['--hub', 'http://hub.example.com'], /has no TLS/],
      [['--hub-here', '--version', '../../etc'], /--version: .* is not valid/],
      [['--hub', 'https://hub.invalid', '--token', 'x'], /name of the hub .* does not resolve here/],
      [['--hub', 'http://127.0.0.1:9', '--token', 'x'], /Nothing listens at http:\/\/127\.0\.0\.1:9/],
    ];
    for (const [options, told] of cases) {
      const { code, stderr } = await host.run([...INSTALL, ...options]);
      assert.equal(code, 1, options.join(' '));
      assert.match(stderr, told);
    }
    await untouched();
  });

  test('an installation whose port is taken names the program that holds it', async () => {
    const squat = ['systemd-run', '--quiet', '--unit=squatter', '--socket-property=ListenStream=80', 'sleep', '60'];
    await host.must(squat);
    const { code, stderr } = await host.run(HUB_HERE);
    await host.must(['systemctl', 'stop', 'squatter.socket']);
    assert.equal(code, 1);
    assert.match(stderr, /Port 80 is held by systemd \(process 1\)/);
    await untouched();
  });

  test('a release whose archive, sums or signature was changed is refused', async () => {
    const changes = {
      'does not match the release': 'for f in /forged/*.tar.xz; do printf x >>$f; done',
      'signature of the release is wrong': 'sed -i s/^./0/ /forged/SHA256SUMS; sed -i s/^./1/ /forged/SHA256SUMS',
    };
    for (const [told, change] of Object.entries(changes)) {
      await host.must(['sh', '-c', `rm -rf /forged; cp -r ${RELEASE_ON_HOST} /forged; ${change}`]);
      const { code, stderr } = await host.run([...INSTALL, '--hub-here', '--offline', '/forged']);
      assert.equal(code, 1);
      assert.ok(stderr.includes(told), stderr);
      assert.equal((await host.run(['test', '-e', '/opt/orkestr/current'])).code, 1, 'nothing was unpacked');
    }
    await host.must(['rm', '-rf', '/forged', '/opt/orkestr']);
  });

  test('another run finishes what runs that were killed have begun, wherever that was', async () => {
    for (const moment of [
      'unpack orkestr',
      'switch live-restore',
      'install orkestr-',
      'start orkestr-',
      'join the hub',
    ]) {
      const { code, stderr } = await host.run(['sh', '-c', CUT, moment, ...HUB_HERE]);
      assert.equal(code, 128 + 9, `${moment} ${stderr}`);
    }
    await host.must(HUB_HERE);
    const status = JSON.parse(await host.must(['orkestr-agent', 'status', '--json', '--wait', '20']));
    assert.equal(status.level, 'ok');
  });

  test('an installation restarts no container of somebody else, and keeps their settings, rules and volumes', async () => {
    assert.equal(await startOfTheirs(host), started);
    const removed = differences(bare, await takeInventory(host)).filter((line) => line.startsWith('- '));
    assert.deepEqual(removed, ['- setting "LiveRestoreEnabled":false']);
  });

  test('a proxy that is killed refuses no connection, and serves again by itself', async () => {
    const url = `http://${await host.address()}/`;
    const proxy = 'orkestr-proxy.service';
    const killed = await mainPids(proxy);
    const failures = await visitDuring({ url, hostName: 'unknown.example.com', isRight: () => true }, async () => {
      await host.must(['systemctl', 'kill', '--signal=KILL', proxy]);
      await until(async () => ![killed, '0\n'].includes(await mainPids(proxy)), 'systemd starts the proxy again');
      await host.must(['curl', '-sS', '--max-time', '60', 'http://127.0.0.1/']);
    });
    // Those that the killed one had accepted.
    const others = failures.filter((failure) => !/^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE): (?!connect)/.test(failure));
    assert.deepEqual(others, []);
  });

  test('the host accepts connections from other machines on ports 80 and 443 only', async () => {
    const sockets = (await host.must(['ss', '-Hltn'])).trim().split('\n');
    const addresses = sockets.map((line) => line.split(/\s+/)[3] ?? '');
    const outward = addresses.filter((address) => !/^(?:127\.|\[::1\]:)/.test(address));
    const ports = new Set(outward.map((address) => address.replace(/^.*:/, '')));
    assert.deepEqual(ports, new Set(['80', '443']), addresses.join());
  });

  test('another run changes nothing, and keeps settings that were edited', async () => {
    await host.must(['sh', '-c', 'echo "# mine" >>/etc/orkestr/agent.env']);
    const services = ['orkestr-proxy', 'orkestr-hub', 'orkestr-agent'];
    const [before, running] = [await takeInventory(host), await mainPids(...services)];
    await host.must(['touch', '/tmp/before']);
    assert.match(await host.must(HUB_HERE), /already installed; nothing to do/);
    assert.deepEqual(differences(before, await takeInventory(host)), []);
    assert.equal(await host.must(['find', '/etc', '/opt', '/usr/local', '-newer', '/tmp/before']), '');
    assert.equal(await mainPids(...services), running);
    assert.match(await host.must(['cat', '/etc/orkestr/agent.env']), /# mine/);
  });

  test('another run with more options sets them, and agent and edge follow the hub to its new address', async () => {
    const kept = '/etc/orkestr/hub.env /etc/orkestr/proxy.env /var/lib/orkestr/agent/identity.json';
    await host.must(['sh', '-c', `tar -cf /kept.tar ${kept}`]);
    const domain = ['--domain', 'hub.example.com', '--email', 'you@example.com'];
    const said = await host.must([...HUB_HERE, '--listen', '0.0.0.0:7701', ...domain]);
    assert.match(
      said,
      /^doing {4}set ORKESTR_HUB_LISTEN=0\.0\.0\.0:7701 ORKESTR_HUB_URL=https:\/\/hub\.example\.com /m,
    );
    const byEdge = ['curl', '-sS', '-H', 'Host: hub.example.com', 'http://127.0.0.1/healthz'];
    assert.match(await host.must(byEdge), /"status":"ok"/);
    const { checks } = JSON.parse((await host.run(['orkestr-agent', 'status', '--json', '--wait', '20'])).stdout);
    assert.equal(checks.hub.level, 'ok');
    assert.match(await host.must(HUB_HERE), /already installed; nothing to do/);

    const upstream = 'http://proxy/v1/upstreams/00000000-0000-4000-8000-000000000001';
    await host.must(['curl', '-fsS', '-X', 'DELETE', '--unix-socket', '/run/orkestr/proxy.sock', upstream]);
    await host.must(['sh', '-c', 'tar -xpf /kept.tar -C / && rm /kept.tar']);
    await host.must(['systemctl', 'restart', 'orkestr-proxy', 'orkestr-hub', 'orkestr-agent']);
  });

  test('only its owner reads a secret, and systemd confines edge and hub', async () => {
    const modes = await host.must(['sh', '-c', 'stat -c "%n %a %U" /etc/orkestr/* /var/lib/orkestr/* /run/orkestr/*']);
    const open = modes
      .trim()
      .split('\n')
      .filter((line) => !/ (?:600|700|750) /.test(line));
    assert.deepEqual(open, []);
    for (const unit of ['orkestr-proxy.service', 'orkestr-hub.service', 'orkestr-firewall.service']) {
      const said = await host.must(['systemd-analyze', 'security', '--no-pager', unit]);
      assert.ok(Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1]) <= 4, said);
    }
    for (const unit of ['orkestr-proxy.service', 'orkestr-hub.service']) {
      assert.equal(
        (await host.must(['systemctl', 'show', '--property=User', '--value', unit])).trim(),
        unit.slice(0, -8),
      );
    }
  });

  test('the head of the unit of the agent names every setting that leaves it exposed', async () => {
    const head = (await host.must(['cat', '/etc/systemd/system/orkestr-agent.service'])).split('[Unit]')[0] ?? '';
    // `Protect…=` in the text stands for every setting that begins so.
    const named = [...head.matchAll(/(\w+)(…?)=/g)].map(([, word, more]) => new RegExp(`^${word}${more ? '' : '$'}`));
    const json = await host.must(['systemd-analyze', 'security', '--json=short', 'orkestr-agent.service']);
    const exposed = (JSON.parse(json) as { name: string; set: boolean | null }[]).filter(({ set }) => set === false);
    assert.ok(exposed.length > 0);
    const settings = new Set(exposed.flatMap(({ name }) => name.split('/')).map((name) => name.replace(/=.*/, '')));
    assert.deepEqual(
      [...settings].filter((setting) => !named.some((one) => one.test(setting))),
      [],
    );
  });

  test('doctor and status end in time, also beside an engine that hangs', async (t) => {
    const engine = (await host.must(['systemctl', 'show', '--property=MainPID', '--value', 'docker'])).trim();
    try {
      for (const signal of ['-CONT', '-STOP']) {
        await host.must(['kill', signal, engine]);
        for (const command of ['doctor', 'status']) {
          const fastest = Math.min(await timeOf(command), await timeOf(command), await timeOf(command));
          t.diagnostic(`orkestr-agent ${command}, engine ${signal}: ${fastest} ms`);
          assert.ok(fastest < MAX_MS, `${command}, engine ${signal}: ${fastest} ms`);
        }
      }
    } finally {
      await host.must(['kill', '-CONT', engine]);
    }
  });

  /** Wall time on the host, ms. */
  const timeOf = async (command: string): Promise<number> => {
    const line = `date +%s%3N; orkestr-agent ${command} >/dev/null; date +%s%3N`;
    const [began = 0, ended = 0] = (await host.must(['sh', '-c', line])).trim().split('\n').map(Number);
    return ended - began;
  };

  test('our programs trust an authority that the host trusts', async () => {
    const join = ['env', 'ORKESTR_AGENT_STATE=/tls/agent', 'orkestr-agent', 'join', '--hub', 'https://localhost:8443'];
    const told = async (): Promise<string> => (await host.run([...join, '--token', 'x'])).stderr;
    await host.must(['sh', '-ec', PRIVATE_AUTHORITY]);
    const server = ['/opt/orkestr/current/bin/node', '-e', SECURE_SERVER];
    await host.must(['systemd-run', '--quiet', '--unit=private-hub', ...server]);
    try {
      assert.match(await told(), /certificate/);
      await host.must(['sh', '-ec', `cp /tls/ca.pem ${OWN_AUTHORITIES}/private.crt && update-ca-certificates`]);
      assert.doesNotMatch(await told(), /certificate/);
      assert.match(await told(), /is not an orkestr hub \(status 418\)/);
    } finally {
      await host.must(['systemctl', 'stop', 'private-hub']);
      await host.must([
        'sh',
        '-ec',
        `rm -rf ${OWN_AUTHORITIES}/private.crt /etc/ssl/certs; mv /tls/certs /etc/ssl/certs; rm -r /tls`,
      ]);
    }
  });

  test('a command that is typed by hand reads the same settings as the services', async () => {
    await host.must(['sh', '-c', 'echo ORKESTR_AGENT_RUN=/run/orkestr/mine >>/etc/orkestr/agent.env']);
    await host.must(['systemctl', 'restart', 'orkestr-agent.service']);
    const agentOf = async (...env: string[]): Promise<unknown> =>
      JSON.parse((await host.run(['env', ...env, 'orkestr-agent', 'status', '--json', '--wait', '20'])).stdout).checks
        .agent.summary;
    assert.doesNotMatch(String(await agentOf()), /not running/);
    assert.match(
      String(await agentOf('ORKESTR_AGENT_RUN=/run/orkestr')),
      /not running/,
      'the environment counts first',
    );
    await host.must(['sed', '-i', '/ORKESTR_AGENT_RUN/d', '/etc/orkestr/agent.env']);
    await host.must(['systemctl', 'restart', 'orkestr-agent.service']);
  });

  test('systemd reads files of settings as our programs do', async () => {
    for (const { what, text, settings } of CASES) {
      await host.must(['tee', '/tmp/settings'], text);
      const unit = ['systemd-run', '--quiet', '--wait', '--pipe', '--property=EnvironmentFile=/tmp/settings'];
      const seen = (await host.must([...unit, 'env', '--null'])).split('\0').filter((line) => /^[AB]=/.test(line));
      const wanted = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      assert.deepEqual(seen.toSorted(), wanted.toSorted(), what);
    }
  });

  test('everything is up again by itself after a reboot and after a power cut', async () => {
    const address = await host.address();
    for (const offAndOn of [() => host.reboot(), () => host.cutPower().then(() => host.powerOn())]) {
      await offAndOn();
      assert.equal(await host.address(), address);
      assert.equal(JSON.parse(await host.must(['orkestr-agent', 'status', '--json', '--wait', '20'])).level, 'ok');
    }
  });

  test('uninstall asks first; after --keep-data, the next installation continues with the kept data', async () => {
    const careful = await host.run(['orkestr-agent', 'uninstall']);
    assert.equal(careful.code, 1);
    assert.match(careful.stderr, /--purge/);
    const before = JSON.parse(await host.must(['cat', '/var/lib/orkestr/agent/identity.json']));
    await host.must(['orkestr-agent', 'uninstall', '--keep-data']);
    assert.equal((await host.run(['test', '-e', '/opt/orkestr'])).code, 1);
    await host.must(HUB_HERE);
    assert.deepEqual(JSON.parse(await host.must(['cat', '/var/lib/orkestr/agent/identity.json'])), before);
    assert.equal(JSON.parse(await host.must(['orkestr-agent', 'status', '--json', '--wait', '20'])).level, 'ok');
  });

  test('uninstall --purge leaves the host as it was', async () => {
    // As in docs/backup.md: systemd records when the timer has elapsed.
    await host.must(['systemctl', 'enable', '--now', 'orkestr-hub-backup.timer']);
    await host.must(['test', '-e', '/var/lib/systemd/timers/stamp-orkestr-hub-backup.timer']);
    const theirs = await startOfTheirs(host);
    const said = await host.must(['orkestr-agent', 'uninstall', '--purge']);
    assert.doesNotMatch(said, /FAILED/);
    await untouched();
    assert.equal(await startOfTheirs(host), theirs);
  });

  test('uninstall --purge removes everything even if the identity is damaged', async () => {
    await host.must(HUB_HERE);
    await host.must(['truncate', '--size=40', '/var/lib/orkestr/agent/identity.json']);
    assert.match((await host.run(['orkestr-agent', 'doctor', 'agent'])).stdout, /is damaged/);
    const said = await host.must(['orkestr-agent', 'uninstall', '--purge']);
    assert.match(said, /^done {5}identity: not readable/m);
    await untouched();
  });

  test('uninstall waits for Docker Engine that is down, but not for one that was uninstalled', async () => {
    await host.must(HUB_HERE);
    const program = (await host.must(['sh', '-c', 'readlink -f "$(command -v dockerd)"'])).trim();
    await host.must(['systemctl', 'stop', 'docker.socket', 'docker.service']);
    const down = await host.run(['orkestr-agent', 'uninstall', '--purge']);
    assert.equal(down.code, 1);
    assert.match(down.stdout, /^FAILED {3}engine: Docker Engine is not running.*systemctl start docker/m);
    await host.must(['mv', program, `${program}.off`]);
    try {
      const said = await host.must(['orkestr-agent', 'uninstall', '--purge']);
      assert.match(said, /^warning {2}engine: Docker Engine is no longer installed/m);
      assert.doesNotMatch(said, /FAILED/);
    } finally {
      await host.must(['mv', `${program}.off`, program]);
      await host.must(['systemctl', 'start', 'docker.socket', 'docker.service']);
    }
    await untouched();
  });
});
