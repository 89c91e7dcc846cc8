import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { scripted } from '../deployment/test-ports.ts';
import { systemClock } from '../lib/clock.ts';
import { exec } from '../lib/exec.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { defineCheck, fill } from './check.ts';
import type { Check } from './check.ts';
import { doctor } from './command.ts';
import { examine, exitCode } from './doctor.ts';
import { mend } from './fix.ts';
import { mendFor } from './mend-text.ts';
import { programsAt } from './programs.ts';
import type { HasProgram } from './programs.ts';
import { HOST_PLACES } from './subject.ts';
import type { Subject } from './subject.ts';
import { renderDoctor } from './text.ts';

const subject = scripted<Subject>('subject', { clock: systemClock, has: () => true });

/** A check whose `gather` returns the problem; null: none. */
const check = (name: string, gather: () => Promise<'bad' | 'worse' | null>, fix?: Check['fix']): Check =>
  defineCheck({
    name,
    about: 'A check of this test.',
    problems: {
      bad: { level: 'warn', says: '{what} is bad.', mend: '`mend {what}`', fix: 'safe' },
      worse: { level: 'fail', says: '{what} is worse.', mend: '`remove {what}`', fix: 'confirmed' },
    },
    gather,
    judge: (problem) => ({
      summary: 'looked',
      findings: problem === null ? [] : [{ problem, values: { what: name }, evidence: ['seen'] }],
    }),
    ...(fix && { fix }),
  });

test('the doctor runs only the named checks and refuses an unknown name with the list of checks', async () => {
  const out = new PassThrough();
  const lacking = scripted<Subject>('subject', { clock: systemClock, has: () => false, places: HOST_PLACES, exec });
  const parts = { subject: () => lacking, out, status: never };
  const request = { json: true, fix: false, yes: false, deadlineMs: 1000, bundle: null };
  assert.equal(await doctor(parts, { ...request, only: ['nftables'] }), 0);
  const report = JSON.parse(String(out.read())) as { checks: { name: string; level: string }[] };
  assert.deepEqual(
    report.checks.map(({ name, level }) => [name, level]),
    [['nftables', 'skipped']],
  );
  const message = /no check nftable\..* nftables,/;
  await assert.rejects(doctor(parts, { ...request, only: ['nftable'] }), { code: 'ORK_INVALID', message });
});

const never = (): Promise<never> => new Promise(() => undefined);

test('the worst finding determines the level of the report and the exit code', async () => {
  const levelOf = async (...found: ('bad' | 'worse' | null)[]): Promise<number> => {
    const checks = found.map((one, index) => check(`c${index}`, async () => one));
    return exitCode((await examine(subject, { checks })).level);
  };
  assert.deepEqual([await levelOf(null), await levelOf(null, 'bad'), await levelOf('bad', 'worse')], [0, 1, 2]);
});

test('a hanging check is reported as slow and does not delay the others', async () => {
  const checks = [check('hangs', never), check('quick', async () => 'bad')];
  const { level, checks: reports } = await examine(subject, { checks, deadlineMs: 50 });
  assert.equal(level, 'warn');
  assert.deepEqual(
    reports.flatMap(({ problems }) => problems.map(({ id, says }) => `${id}: ${says}`)),
    ['hangs/slow: The check had no result after 50 ms.', 'quick/bad: quick is bad.'],
  );
});

test('a check that fails to run says so; one whose cause another check reports is skipped', async () => {
  const checks = [
    check('blind', () => Promise.reject(new Error('EACCES: permission denied'))),
    check('needs the engine', () => Promise.reject(new OrkestrError('ORK_ENGINE_TIMEOUT', 'It hangs.'))),
    check('needs an identity', () => Promise.reject(new OrkestrError('ORK_IDENTITY_UNREADABLE', 'It is cut off.'))),
  ];
  const { checks: reports } = await examine(subject, { checks });
  assert.deepEqual(
    reports.map(({ level, summary }) => `${level}: ${summary}`),
    ['warn: could not run', 'skipped: It hangs.', 'skipped: It is cut off.'],
  );
  const [blind] = reports[0]?.problems ?? [];
  assert.match(blind?.says ?? '', /permission denied/);
  assert.match(blind?.mend ?? '', /`sudo \/usr\/local\/bin\/orkestr-agent doctor`/, 'sudo of RHEL does not look there');
});

test('the terminal output shows each problem with its evidence and its fix', async () => {
  const text = renderDoctor(await examine(subject, { checks: [check('thing', async () => 'worse')] }));
  assert.match(text, /^fail {5}thing {2}looked\n/);
  assert.match(text, /thing is worse\.\n +\| seen\n +mend: `remove thing` \(or: orkestr-agent doctor --fix --yes\)/);
  assert.match(text, /1 checks in \d+ ms: 1 to mend, 0 to look at\n$/);
});

test('safe fixes run, a fix that removes something runs only when confirmed, and a failed fix is reported', async () => {
  const done: string[] = [];
  const fix: Check['fix'] = async ({ problem, values }) => {
    done.push(`${problem} ${values?.['what']}`);
    if (values?.['what'] === 'stubborn') throw new Error('it does not move');
    return 'done';
  };
  const checks = [
    check('a', async () => 'bad', fix),
    check('b', async () => 'worse', fix),
    check('stubborn', async () => 'bad', fix),
    check('without', async () => 'bad'),
    check('blind', () => Promise.reject(new Error('no')), fix),
  ];
  const careful = await mend(subject, { checks, confirmed: false });
  assert.deepEqual(done, ['bad a', 'bad stubborn']);
  assert.deepEqual(careful.at(-1), { id: 'stubborn/bad', ok: false, told: 'it does not move' });
  await mend(subject, { checks, confirmed: true });
  assert.deepEqual(done.slice(2), ['bad a', 'worse b', 'bad stubborn']);
});

test('a value in a command is quoted as one shell word; in a sentence it stays unchanged', () => {
  const values = { path: "/tmp/it's here; rm -rf /", mode: '0600' };
  assert.equal(
    fill('{path}: `chmod {mode} {path}`, {other}', values),
    String.raw`/tmp/it's here; rm -rf /: ${'`'}chmod 0600 '/tmp/it'\''s here; rm -rf /'${'`'}, {other}`,
  );
});

test('a fix uses the package manager of the host and explains how to get the Docker client if it is missing', () => {
  const having =
    (...programs: string[]): HasProgram =>
    (name) =>
      programs.includes(name);
  const mend = { apt: '`apt-get install x`', dnf: '`dnf install x`' };
  assert.equal(mendFor(mend, having('apt-get')), '`apt-get install x`');
  assert.equal(mendFor(mend, having('dnf')), '`dnf install x`');
  assert.equal(mendFor(mend, having('apt-get', 'dnf')), '`apt-get install x`', 'dnf can be had on Debian');
  assert.equal(mendFor('`docker rm x`', having('docker')), '`docker rm x`');
  assert.match(mendFor('`docker rm x`', having('apt-get')), /^`docker rm x` .*`apt-get install docker-cli`/);
  assert.match(mendFor('`docker rm x`', having('dnf')), /`dnf install docker-ce-cli`/);
  assert.equal(mendFor('`systemctl restart docker`', having()), '`systemctl restart docker`');
});

test('programs are found in the search path of root', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'usr/sbin'), { recursive: true });
  writeFileSync(join(root, 'usr/sbin/iptables'), '');
  assert.deepEqual(['iptables', 'ufw'].map(programsAt(root)), [true, false]);
});
