/** `orkestr-agent status`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { ANSWER_MS } from '../../local-api/status-report.ts';
import { exitCode, renderStatus } from '../../status/index.ts';
import { hostReport } from '../host-report.ts';
import { secondsOf } from '../seconds.ts';

/** Adds `status`. */
export function addStatusCommand(cli: Command): void {
  cli
    .command('status')
    .description('show the state of this host: exit code 0 healthy, 1 degraded, 2 down')
    .option('--json', 'for programs')
    .option(
      '--wait <seconds>',
      'how long to wait for answers of Docker and proxy, for slow hosts',
      secondsOf,
      ANSWER_MS / 1000,
    )
    .action(status);
}

async function status({ json, wait }: { json?: true; wait: number }): Promise<void> {
  const report = await hostReport(readConfig(), wait * 1000);
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderStatus(report));
  // Does not wait for checks that hang: a call into a dead file system would block this process, too.
  process.stdout.write('', () => process.exit(exitCode(report.level)));
}
