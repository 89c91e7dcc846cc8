/** `orkestr-agent status`. */
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { exitCode, renderStatus } from '../../status/index.ts';
import { hostReport } from '../host-report.ts';

/** Adds `status`. */
export function addStatusCommand(cli: Command): void {
  cli
    .command('status')
    .description('how this host is: exit code 0 healthy, 1 degraded, 2 down')
    .option('--json', 'for programs')
    .action(status);
}

async function status({ json }: { json?: true }): Promise<void> {
  const report = await hostReport(readConfig());
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderStatus(report));
  process.exitCode = exitCode(report.level);
}
