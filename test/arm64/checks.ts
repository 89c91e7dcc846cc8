/** Checks of a release in emulation. Each returns one line about what it saw, or throws. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ARCHIVE_MB } from '../../installer/release/aims.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { archiveName } from '../../protocol/release.ts';
import { again } from './again.ts';
import { flip } from './flip.ts';
import { together } from './installation.ts';
import type { Subject } from './subject.ts';

const PROGRAMS = ['orkestr', 'orkestr-agent', 'orkestr-hub', 'orkestr-proxy'] as const;

export const CHECKS: readonly (readonly [name: string, check: (subject: Subject) => Promise<string>])[] = [
  ['the machine is an arm64 one to what runs in it', machine],
  ['the programs say their version', versions],
  ['hub, agent and proxy work together', together],
  ['an app is analyzed', analysis],
  ['flip and hand-over fail no request', flip],
  ['install.sh takes the release for arm64', installer],
  ['the archive is not larger than what is aimed at', size],
  ['made again in another folder, it is the same bytes', again],
];

const inTree = ({ plan }: Subject, ...argv: readonly string[]): ReturnType<typeof runProgram> =>
  runProgram(['chroot', plan.tree, ...argv]);

async function machine(subject: Subject): Promise<string> {
  const code = 'console.log(process.arch, process.version)';
  const { stdout } = await inTree(subject, join(subject.plan.unpacked, 'bin/node'), '--eval', code);
  const name = (await inTree(subject, 'uname', '-m')).stdout.trim();
  assert.equal(name, 'aarch64');
  assert.match(stdout, /^arm64 v\d+/);
  return `${name}, ${stdout.trim()}`;
}

async function size({ plan }: Subject): Promise<string> {
  const { size: bytes } = statSync(join(plan.release, archiveName(plan.version, plan.target)));
  assert.ok(bytes < ARCHIVE_MB * 1e6, `${bytes} bytes`);
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

async function versions({ host, plan }: Subject): Promise<string> {
  for (const name of PROGRAMS) assert.equal((await host.run(name, ['--version'])).trim(), plan.version, name);
  return `${PROGRAMS.length} programs, ${plan.version}`;
}

async function analysis({ host, state }: Subject): Promise<string> {
  const app = join(state, 'analyzed');
  cpSync(join(ROOT, 'test/fixtures/apps/express'), app, { recursive: true });
  const { framework, startCommand } = JSON.parse(await host.run('orkestr-agent', ['analyze', app, '--json']));
  assert.equal(framework, 'Express');
  return `${framework}, ${startCommand}`;
}

/** A dry run with shell tracing, since the output itself does not show the detected architecture. */
async function installer(subject: Subject): Promise<string> {
  const { plan } = subject;
  // A running systemd would have created it.
  mkdirSync(join(plan.tree, 'run/systemd/system'), { recursive: true });
  const script = join(plan.release, 'install.sh');
  const { code, stdout, stderr } = await inTree(
    subject,
    'sh',
    '-x',
    script,
    '--dry-run',
    '--hub-here',
    '--offline',
    plan.release,
  );
  assert.equal(code, 0, stderr);
  assert.equal(/^\++ target=(\S*)$/m.exec(stderr)?.[1], 'linux-arm64');
  return stdout.trim().split('\n').at(-1) ?? '';
}
