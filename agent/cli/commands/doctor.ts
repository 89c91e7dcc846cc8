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
  $ orkestr-agent doctor                      # every check: what it found, how it knows, and the mend
  $ orkestr-agent doctor hub dns              # these checks only
  $ orkestr-agent doctor --fix                # mends file modes and firewall rules
  $ orkestr-agent doctor --bundle host.tar.gz # for support: report, status and last log lines, without secrets
  $ orkestr-agent doctor --json | jq -r '.checks[].problems[] | "\\(.id): \\(.mend)"'

Neither hub nor agent nor Docker is needed. Nothing restarts, and nothing is taken away without --fix --yes.
All checks with their mends: docs/troubleshooting.md.`;

/** Adds `doctor`. */
export function addDoctorCommand(cli: Command): void {
  cli
    .command('doctor [check...]')
    .description('what is wrong on this host and how to mend it: exit code 0 nothing, 1 to look at, 2 to mend')
    .option('--json', 'for programs')
    .option('--fix', 'mend what is safe to mend (file modes, firewall rules), and say what was done')
    .option('--yes', 'with --fix: also remove containers and networks of ours that nothing needs')
    .option('--wait <seconds>', 'how long each check may take, on a slow host', secondsOf, CHECK_MS / 1000)
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
  // What hangs is left hanging: a look at a dead file system would hold this process, too.
  process.stdout.write('', () => process.exit(code));
}
