/** One story in the order of its tests: runs every command of the pages named here, on hosts of a lab. */
import { strict as assert } from 'node:assert';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { until } from '../harness/until.ts';
import { giveBaseImage } from '../lab/fleet.ts';
import type { LabHost } from '../lab/host.ts';
import { containerImage } from '../lab/container/image.ts';
import { Lab, RELEASE_ON_HOST } from '../lab/lab.ts';
import { Page } from '../lab/page.ts';
import { makeNext } from '../lab/releases.ts';
import { PREPARED } from '../lab/server.ts';
import { visitDuring } from '../lab/visits.ts';

const HUB_URL = 'https://hub.example.com';
/** Version of a release in which nothing but the version is new. */
const NEXT = '7.0.0';
const INSTALL_HUB = 'sh install.sh --hub-here --domain hub.example.com --email you@example.com';
const INSTALL_AGAIN = 'sh /opt/orkestr/current/install.sh --hub-here';
const OWN_DOMAIN = 'shop.example.com';
const APP_HOST = 'shop.localhost';

/** What a lab host lacks: sudo, another machine, somebody who types a password. */
const STAND_INS = {
  '/usr/local/bin/sudo': '#!/bin/sh\nexec "$@"\n',
  '/usr/local/bin/ssh': '#!/bin/sh\nshift\nexec sh -c "$*"\n',
  '/root/askpass': '#!/bin/sh\nexec cat /etc/orkestr/admin-token\n',
};

/** Commands that break a host, and the problems that the doctor then finds, in the order of their repair. */
const FAULTS = [
  ['systemctl stop orkestr-agent && iptables -t mangle -F', 'firewall/missing', 'agent/absent'],
  // All sockets: a connection to one of them starts the proxy, which requires the others.
  ['systemctl stop orkestr-proxy.service "orkestr-proxy*.socket"', 'ports/nobody', 'proxy/absent'],
  ['rm /run/orkestr/proxy.sock', 'proxy/no-socket'],
  ['systemctl disable orkestr-agent', 'units/disabled'],
  ['systemctl stop orkestr-firewall', 'units/inactive'],
  ['systemctl stop docker.socket docker.service', 'engine/unreachable'],
  ['chmod 644 /var/lib/orkestr/agent/identity.json', 'files/too-open'],
] as const;
/** How often to look whether a host is well again, ms. */
const LOOK_MS = 500;
/**
 * Problems that a host of the lab may have: the domain of first-deployment.md has no certificate, because no name server
 * knows it; Debian fixes runc without changing its version; the others are of the machine below the lab.
 */
const OF_THE_LAB = /^(?:certificates\/missing$|runtime\/|clock\/|memory\/|disk\/|dns\/|registry\/|[a-z-]+\/slow$)/;
/** In the support archive, below one folder. */
const SUPPORT_FILES = [
  'README',
  'doctor.json',
  'status.json',
  'deployments.json',
  'settings.json',
  'logs/agent.log',
  'logs/proxy.log',
  'logs/hub.log',
];

const Report = z.object({
  checks: z.array(z.object({ problems: z.array(z.object({ id: z.string(), mend: z.string() })) })),
});

/** The problems that the doctor of a host finds now: problem → fix. */
async function problems(host: LabHost): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await host.run(['orkestr-agent', 'doctor', '--json', '--wait=5']);
  return new Map(
    Report.parse(JSON.parse(stdout)).checks.flatMap((check) => check.problems.map(({ id, mend }) => [id, mend])),
  );
}

const commandsIn = (mend: string): string[] =>
  [...mend.matchAll(/`([^`]+)`/g)].map(([, command = '']) =>
    // Its exit code reports remaining problems; their fixes have not been run yet.
    command.startsWith('orkestr-agent doctor') ? `${command} || [ $? -le 2 ]` : command,
  );

describe('the pages of docs/', () => {
  let lab: Lab;
  /** The first host, which is also somebody's workplace: its folder /root/shop is their repository. */
  let first: LabHost;
  let second: LabHost;
  let hubUrl: string;
  /** Id of the first host. With two hosts, a project must name the one it runs on. */
  let hostId: string;
  const install = new Page('install');

  before(async () => {
    lab = await Lab.open(() => undefined);
    await lab.release();
    const image = await containerImage(PREPARED, console.log);
    [first, second] = [await lab.boot('vps-1', image), await lab.boot('vps-2', image)];
    hubUrl = `http://${await first.address()}:7700`;
    for (const host of [first, second]) {
      for (const [path, script] of Object.entries(STAND_INS)) {
        await host.must(['sh', '-c', `mkdir -p $(dirname ${path}); cat >${path}; chmod 755 ${path}`], script);
      }
    }
    await giveBaseImage(lab, first, 'static');
    await first.must(['git', 'init', '--quiet', '--initial-branch=main', '/root/shop']);
    await commit('<h1>one</h1>');
  });
  after(() => lab.close());

  /** Runs it in the folder of the repository, with the lab's addresses in place of the page's. */
  const type = async (command: string, on: LabHost = first, input?: string): Promise<string> => {
    const line = command.replaceAll(HUB_URL, hubUrl);
    const folder = on === first ? 'cd /root/shop && ' : '';
    return on.must(['sh', '-c', `export HOME=/root GIT_ASKPASS=/root/askpass; ${folder}${line}`], input);
  };
  const commit = async (page: string): Promise<void> => {
    await type('cat >index.html; git add index.html', first, page);
    await type("git -c user.name=t -c user.email=t@example.com commit --quiet --message 'a page'");
  };
  const visit = (host = APP_HOST): Promise<string> =>
    first.must(['curl', '-fsSL', '--max-time', '10', '--header', `host: ${host}`, 'http://127.0.0.1/']);
  /** A returning agent is up before the apps that it restarts. */
  const visitOnceUp = async (host: string): Promise<string> => {
    const isUp = (): Promise<boolean> =>
      visit(host).then(
        () => true,
        () => false,
      );
    await until(isUp, `${host} serves`, { lookMs: LOOK_MS });
    return visit(host);
  };
  const token = async (): Promise<string> => first.must(['cat', '/etc/orkestr/admin-token']);
  const installOffline = (command: string): Promise<string> =>
    type(`${command.replace('install.sh', `${RELEASE_ON_HOST}/install.sh`)} --offline ${RELEASE_ON_HOST}`);
  /** A lab has no domain that a CA could look up, so the hub is reached without TLS. */
  const withoutDomain = (command: string): string =>
    command.replace(/--domain \S+/, `--listen 0.0.0.0:7700 --public-url ${hubUrl} --allow-http`);
  const installHub = (): Promise<string> => installOffline(withoutDomain(INSTALL_HUB));
  /** Runs a command that asks for the host's name on a terminal. */
  const typeWithName = (command: string, on: LabHost): Promise<string> =>
    type(`printf '${on.name}\\n' | script --quiet --return --command '${command}' /dev/null`, on);

  test('install.md', async () => {
    const fetch = install.take('curl -fsSLO https://releases.example.com/orkestr/1.0.0/install.sh');
    await type(
      `cd /tmp && ${fetch.replace('https://releases.example.com/orkestr/1.0.0', `file://${RELEASE_ON_HOST}`)}`,
    );
    await first.must(['cmp', '/tmp/install.sh', `${RELEASE_ON_HOST}/install.sh`]);
    await installOffline(install.take('sh install.sh --hub-here'));
    install.take(INSTALL_HUB);
    await installHub();
    await type(install.take(`orkestr login ${HUB_URL} --token - </etc/orkestr/admin-token`));
    const line = await type(`${install.take('orkestr hosts add vps-2')} --json`);
    const { installCommand } = JSON.parse(line) as { installCommand: string };
    const email = ' --email you@example.com';
    const onPage = install.take(
      `curl -fsSL ${HUB_URL}/install.sh | sudo sh -s -- --hub ${HUB_URL} --token TOKEN${email}`,
    );
    assert.equal(
      installCommand.replaceAll(hubUrl, HUB_URL).replace(/--token \S+/, '--token TOKEN'),
      `${onPage} --allow-http`,
    );
    // From now on it reaches nothing but the lab's network, with the hub in it: that must be enough.
    await second.must(['ip', 'route', 'del', 'default']);
    assert.notEqual((await second.run(['ip', 'route', 'get', '192.0.2.1'])).code, 0);
    // As if the hub had been installed without one: it is added later.
    await type(installCommand.replace(email, ''), second);
    const later = install.take(`curl -fsSL ${HUB_URL}/install.sh | sudo sh -s --${email}`);
    assert.match(await type(`${later} --allow-http`, second), /set .*ORKESTR_PROXY_ACME_EMAIL=you@example\.com in/);
    assert.deepEqual(install.left, []);
  });

  test('first-deployment.md', async () => {
    const page = new Page('first-deployment');
    // The other host stands in for a person's own computer, which has Node.js.
    await type(
      page.take(`curl -fsSL --create-dirs ${HUB_URL}/cli -o ~/.local/bin/orkestr && chmod +x ~/.local/bin/orkestr`),
      second,
    );
    const own = (line: string): string => `PATH=/opt/orkestr/current/bin:$PATH ~/.local/bin/${line}`;
    await type(own(`orkestr login ${HUB_URL}`), second, await token());
    assert.match(await type(own('orkestr hosts list'), second), /vps-1/);
    await type(page.take(`orkestr login ${HUB_URL}`), first, await token());
    const made = page.take('orkestr tokens create laptop --scope read --scope deploy --scope write');
    assert.match(await type(made), /^ork_/m);
    const { hosts } = JSON.parse(await type('orkestr hosts list --json')) as { hosts: { id: string; name: string }[] };
    hostId = String(hosts.find(({ name }) => name === 'vps-1')?.id);
    const told = await type(`${page.take('orkestr project create shop')} --host ${hostId}`);
    const remote = /git remote add orkestr (\S+)/.exec(told);
    assert.match(
      page.take(`git remote add orkestr ${HUB_URL}/git/PROJECT.git`).replace(HUB_URL, hubUrl),
      new RegExp(String(remote?.[0]).replace(/git\/.*$/, 'git/')),
    );
    await type(String(remote?.[0]));
    await type(page.take('git push orkestr HEAD:main'));
    await type(page.take('orkestr logs --follow'));
    await type(page.take('orkestr logs'));
    assert.match(await type(page.take('orkestr project show shop')), new RegExp(APP_HOST));
    assert.match(await visit(), /one/);
    await type(page.take('orkestr env set LOG_LEVEL=debug'));
    await type(page.take('orkestr deploy --again'));
    await type(page.take('orkestr environment set --memory 512'));
    await type(page.take('orkestr deploy'));
    await type(page.take('orkestr logs --app'));
    assert.match(await type(page.take('orkestr deployments list')), /live/);
    await type(page.take('orkestr rollback'));
    assert.match(await visit(), /one/);
    await type(page.take('orkestr environment set --add-domain shop.example.com'));
    await type(`${page.take('orkestr environment create staging --branch develop')} --host ${hostId}`);
    const url = 'https://git.example.com/team/blog.git';
    await first.must(['sh', '-c', 'cat >/root/repository-token'], 'secret');
    // Nothing is requested from that server before the first deployment.
    const elsewhere = `orkestr project create blog --repository ${url} --repository-token-stdin <~/repository-token`;
    await type(`${page.take(elsewhere)} --host ${hostId}`);
    for (const change of [
      '--repository-token-stdin <~/repository-token',
      '--repository https://git.example.org/team/blog.git --repository-token-stdin <~/repository-token',
      '--no-repository-token',
    ]) {
      await type(page.take(`orkestr project set blog ${change}`));
    }
    await type('orkestr project delete blog --yes');
    assert.deepEqual(page.left, []);
  });

  test('troubleshooting.md', async () => {
    const page = new Page('troubleshooting');
    // Exit code 1: the domain from the previous page has no certificate, because no name server knows it.
    await type(`${page.take('orkestr-agent status')} || [ $? = 1 ]`);
    for (const command of ['', ' hub dns', ' --fix', ' --bundle host.tar.gz']) {
      // Exit code 1 means "something to look at".
      await type(`${page.take(`orkestr-agent doctor${command}`)} || [ $? = 1 ]`);
    }
    assert.deepEqual(page.left, []);

    const unexpected = [...(await problems(first)).keys()].filter((id) => !OF_THE_LAB.test(id));
    assert.deepEqual(unexpected, []);
    const archived = (await type('tar --list --gzip --file host.tar.gz')).trim().split('\n');
    const expected = SUPPORT_FILES.map((name) => `orkestr-support/${name}`);
    assert.deepEqual(archived, expected);
    const report = await type('tar --extract --to-stdout --gzip --file host.tar.gz orkestr-support/doctor.json');
    assert.ok(Report.parse(JSON.parse(report)).checks.length > 0);
  });

  test('troubleshooting.md: the commands in its tables fix the problems beside them', async () => {
    for (const [breaking, ...named] of FAULTS) {
      await type(breaking, second);
      const broken = await problems(second);
      for (const id of named) {
        const mend = broken.get(id);
        assert.ok(mend, `${breaking}: the doctor does not find ${id}`);
        for (const command of commandsIn(mend)) await type(command, second);
      }
      const isFixed = async (): Promise<boolean> => {
        const found = await problems(second);
        return named.every((id) => !found.has(id));
      };
      await until(isFixed, `the doctor no longer finds ${named.join()}`, { lookMs: LOOK_MS });
    }
  });

  test('upgrade.md', async () => {
    const page = new Page('upgrade');
    const next = join(lab.releaseFolder, 'next');
    mkdirSync(next);
    await makeNext(lab.releaseFolder, next, lab.keyFile, { version: NEXT });
    const runs = async (host: LabHost): Promise<string> =>
      (await type('readlink /opt/orkestr/current', host)).trim().replace('releases/', '');

    const command = page.take('orkestr-agent upgrade --from /root/orkestr-release');
    const url = `http://${await first.address()}/`;
    const isRight = (status: number, body: string): boolean => status === 200 && body.includes('one');
    const failures = await visitDuring({ url, hostName: APP_HOST, isRight }, () =>
      type(command.replace('/root/orkestr-release', `${RELEASE_ON_HOST}/next/${NEXT}`)),
    );
    assert.deepEqual(failures, []);
    assert.equal(await runs(first), NEXT);
    assert.match(await type(page.take('orkestr hosts list')), new RegExp(NEXT));
    assert.match(await type(page.take('orkestr-agent upgrade --dry-run'), second), new RegExp(NEXT));

    // A host that rejects the release because it trusts another key: this pauses the upgrades.
    const origin = '/opt/orkestr/current/origin.json';
    await type(String.raw`sed -i.right 's/\("publicKey": *".\{20\}\).\{10\}/\1AAAAAAAAAA/' ${origin}`, second);
    const paused = /ORK_UPGRADE_SIGNATURE[^]*Paused/;
    assert.match(await type('orkestr hosts upgrade vps-2 --follow || true'), paused);
    assert.match(await type(`${page.take('orkestr upgrades resume')} --follow || true`), paused);
    assert.match(await type(page.take('orkestr upgrades cancel')), /cancelled/);
    assert.match(await type('orkestr hosts upgrade vps-2 --follow || true'), paused);
    assert.match(await type(page.take('orkestr upgrades skip vps-2')), /skipped/);
    await type(`mv ${origin}.right ${origin}`, second);

    await type(`${page.take('orkestr hosts upgrade vps-1')} --follow`);
    await type(page.take('orkestr hosts upgrade --all --at-once 2 --follow'));
    await type(page.take('orkestr upgrades show --follow'));
    assert.equal(await runs(second), NEXT);
    await type(page.take('orkestr-agent upgrade'), second);
    const back = 'orkestr-agent upgrade --version "$(basename "$(readlink /opt/orkestr/previous)")" --allow-downgrade';
    await type(page.take(back), second);
    assert.notEqual(await runs(second), NEXT);
    await type(page.take('orkestr-agent upgrade --version V').replace('V', NEXT), second);
    await type('orkestr-agent upgrade --follow', second);
    assert.equal(await runs(second), NEXT);
    assert.deepEqual(page.left, []);
  });

  test('backup.md', async () => {
    const page = new Page('backup');
    await type(page.take('orkestr-hub backup /root/hub.tar.gz'));
    await type(page.take("orkestr-hub backup - | ssh backup.example.com 'cat >hub.tar.gz'"));
    await type('tar --list --gzip --file hub.tar.gz manifest.json && rm hub.tar.gz');
    await type(page.take('systemctl enable --now orkestr-hub-backup.timer'));
    await type(page.take('systemctl start orkestr-hub-backup.service'));
    await type('test -s /var/lib/orkestr/backups/hub-*.tar.gz');
    await type(`orkestr project create lost --host ${hostId}`);
    await type(page.take('systemctl stop orkestr-hub'));
    await type(page.take('orkestr-hub restore /root/hub.tar.gz --replace'));
    await type(page.take('systemctl start orkestr-hub'));
    // Restored, and its hosts are back: they recognize the hub by its key.
    const { projects } = JSON.parse(await type('orkestr project list --json')) as { projects: { slug: string }[] };
    assert.deepEqual(
      projects.map(({ slug }) => slug),
      ['shop'],
    );
    await commit('<h1>two</h1>');
    await type('git push orkestr main && orkestr logs --follow');
    assert.match(await visit(OWN_DOMAIN), /two/);
    await type(withoutDomain(page.take(`${INSTALL_AGAIN} --domain hub.example.com --email you@example.com`)));
    await typeWithName(page.take('orkestr-agent leave'), second);
    assert.equal((await second.run(['test', '-e', '/var/lib/orkestr/agent'])).code, 1);
    assert.deepEqual(page.left, []);
  });

  test('hosts.md', async () => {
    const page = new Page('hosts');
    const line = await type(`${page.take('orkestr hosts join-token vps-2')} --json`);
    await type((JSON.parse(line) as { installCommand: string }).installCommand, second);
    await type('systemctl is-active orkestr-agent', second);
    await type(page.take('orkestr deploy --again --project shop'));
    assert.match(await visit(OWN_DOMAIN), /two/);
    assert.deepEqual(page.left, []);
  });

  test('hub.md', async () => {
    const page = new Page('hub');
    const another = (await type(page.take('orkestr-hub token'))).trim();
    await type(`orkestr login ${HUB_URL} --token -`, first, another);
    // A lab has only one address; the command is the same.
    await type(
      page.take('orkestr-agent hub https://new.example.com').replace('https://new.example.com', hubUrl),
      second,
    );
    await type(withoutDomain(page.take(`${INSTALL_AGAIN} --domain new.example.com --email you@example.com`)));
    assert.deepEqual(page.left, []);
  });

  test('uninstall.md', async () => {
    const page = new Page('uninstall');
    await typeWithName(page.take('orkestr-agent uninstall'), second);
    assert.equal((await second.run(['test', '-e', '/opt/orkestr'])).code, 1);
    await type(page.take('orkestr hosts remove vps-2 --yes'));
    await type(page.take('orkestr-agent uninstall --keep-data'));
    await installHub();
    assert.match(await visitOnceUp(OWN_DOMAIN), /two/);
    await type(page.take('orkestr-agent uninstall --purge'));
    assert.equal((await first.run(['test', '-e', '/var/lib/orkestr'])).code, 1);
    assert.deepEqual(page.left, []);
  });
});
