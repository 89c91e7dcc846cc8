/** What a release is asked in emulation. Each says in one line what it saw, or throws. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ReleasedHost } from '../../installer/release/released-host.ts';
import { mustRun, runProgram } from '../../installer/stack/run-program.ts';
import type { Service } from '../../installer/stack/service.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { Plan } from './plan.ts';

interface Subject {
  readonly plan: Plan;
  readonly host: ReleasedHost;
  /** Where the programs keep what they keep. */
  readonly state: string;
}

type Check = (subject: Subject) => Promise<string>;

/** Programs start slowly in emulation. */
const START_MS = 60_000;
const PROGRAMS = ['orkestr', 'orkestr-agent', 'orkestr-hub', 'orkestr-proxy'] as const;

export const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['the machine is an arm64 one to what runs in it', machine],
  ['the programs say their version', versions],
  ['hub, agent and proxy work together', together],
  ['an app is analyzed', analysis],
  ['a flip fails no request', flip],
  ['install.sh takes the release for arm64', installer],
];

const inTree = ({ plan }: Subject, ...argv: readonly string[]): ReturnType<typeof runProgram> =>
  runProgram(['chroot', plan.tree, ...argv]);

async function machine(subject: Subject): Promise<string> {
  const code = "console.log(process.arch, process.version, new (require('node:crypto').X509Certificate)(require('node:tls').rootCertificates[0]).ca)";
  const { stdout } = await inTree(subject, join(subject.plan.unpacked, 'bin/node'), '--eval', code);
  const name = (await inTree(subject, 'uname', '-m')).stdout.trim();
  assert.equal(name, 'aarch64');
  assert.match(stdout, /^arm64 v\d+/);
  return `${name}, ${stdout.trim()}`;
}

async function versions({ host, plan }: Subject): Promise<string> {
  for (const name of PROGRAMS) assert.equal((await host.run(name, ['--version'])).trim(), plan.version, name);
  return `${PROGRAMS.length} programs, ${plan.version}`;
}

async function together({ host }: Subject): Promise<string> {
  const started: Service[] = [];
  const start = async (name: (typeof PROGRAMS)[number], ready: string): Promise<Service> => {
    const service = await host.serve(name);
    started.push(service);
    await service.waitFor(ready, START_MS);
    return service;
  };
  try {
    const hub = await (await start('orkestr-hub', 'listening')).url();
    const page = await (await fetch(hub)).text();
    assert.match(page, /<script type="module"/, 'the console');
    const token = await host.join(hub);
    await start('orkestr-proxy', 'listening');
    await start('orkestr-agent', 'ready');
    const env = { ORKESTR_URL: hub, ORKESTR_TOKEN: token };
    const hosts = await host.run('orkestr', ['hosts', 'list', '--json'], { env });
    const doctor = await runProgram(host.argv('orkestr-agent', 'doctor', '--json'), { env: host.env });
    const status = await runProgram(host.argv('orkestr-agent', 'status', '--json'), { env: host.env });
    return `${hosts} ${doctor.stdout} ${status.stdout}`;
  } finally {
    for (const service of started.toReversed()) await service.stop();
  }
}

async function analysis({ host, state }: Subject): Promise<string> {
  const app = join(state, 'app');
  cpSync(join(ROOT, 'test/fixtures/apps/express'), app, { recursive: true });
  const { framework, startCommand } = JSON.parse(await host.run('orkestr-agent', ['analyze', app, '--json']));
  assert.equal(framework, 'Express');
  return `${framework}, ${startCommand}`;
}

const UPSTREAM = '01a00000-0000-7000-8000-000000000001';
const REQUESTS = 300;

async function flip({ host, state }: Subject): Promise<string> {
  return '';
}

async function installer(subject: Subject): Promise<string> {
  const { plan } = subject;
  mkdirSync(join(plan.tree, 'run/systemd/system'), { recursive: true });
  const script = join(plan.release, 'install.sh');
  const r = await inTree(subject, 'sh', script, '--dry-run', '--hub-here', '--offline', plan.release);
  return JSON.stringify(r);
}
