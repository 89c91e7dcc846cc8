/** `orkestr-agent doctor`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { CHECK_MS } from '../../doctor/doctor.ts';
import { systemClock } from '../../lib/clock.ts';
import { exec } from '../../lib/exec.ts';
import { hostReport } from '../host-report.ts';
import { secondsOf } from '../seconds.ts';

const DOCTOR_HELP = `
Examples:
  $ orkestr-agent doctor                      # every check: findings, evidence, and what to do
  $ orkestr-agent doctor hub dns              # these checks only
  $ orkestr-agent doctor --fix                # fixes file modes and firewall rules
  $ orkestr-agent doctor --bundle host.tar.gz # for support: report, status and last log lines, without secrets
  $ orkestr-agent doctor --json | jq -r '.checks[].problems[] | "\\(.id): \\(.mend)"'

Works without hub, agent and Docker. Restarts nothing, and removes nothing without --fix --yes.
All checks are described in docs/troubleshooting.md.`;

/** Adds `doctor`. */
export function addDoctorCommand(cli: Command): void {
  cli
    .command('doctor [check...]')
    .description('show what is wrong on this host and how to fix it: exit code 0 nothing, 1 warnings, 2 failures')
    .option('--json', 'for programs')
    .option('--fix', 'fix what is safe to fix (file modes, firewall rules), and report what was done')
    .option('--yes', 'with --fix: also remove unneeded containers and networks of orkestr')
    .option('--wait <seconds>', 'time limit of each check, for slow hosts', secondsOf, CHECK_MS / 1000)
    .option('--bundle <file>', 'write a support archive (tar.gz) without secrets')
    .addHelpText('after', DOCTOR_HELP)
    .action(examineHost);
}

interface DoctorFlags {
  readonly json?: true;
  readonly fix?: true;
  readonly yes?: true;
  readonly bundle?: string;
  readonly wait: number;
}

async function examineHost(only: readonly string[], { json, fix, yes, bundle, wait }: DoctorFlags): Promise<void> {
  const config = readConfig();
  const [{ doctor }, { makeSubject }] = await Promise.all([
    import('../../doctor/command.ts'),
    import('../../doctor/subject.ts'),
  ]);
  const code = await doctor(
    {
      subject: (answerMs) => makeSubject({ config, clock: systemClock, exec, answerMs }),
      out: process.stdout,
      status: () => hostReport(config),
    },
    {
      only,
      json: json === true,
      fix: fix === true,
      yes: yes === true,
      deadlineMs: wait * 1000,
      bundle: bundle ?? null,
    },
  );
  // Does not wait for checks that hang: a call into a dead file system would block this process, too.
  process.stdout.write('', () => process.exit(code));
}
