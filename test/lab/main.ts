/** `npm run lab`: see HELP. The last line of its output is one JSON object. */
import { parseArgs } from 'node:util';
import { runLab } from './run.ts';
import { Lab } from './lab.ts';

const HELP = `npm run lab [-- --prepared]

Makes a release, boots hosts with systemd and engines of their own, and does with them what an owner does: the hub from
bare, an agent by the one line that the hub gives, deployments and restarts under traffic, uninstall; each host is
compared with itself before.

  --prepared   hosts have Docker Engine and git already: faster, and nothing is fetched
  --keep       leave the hosts when a phase fails, to look at them: docker exec -it NAME bash

The last line is {"phases":[{"name","seconds","failedRequests","ok"}]}. Exits 1 when a phase is not ok.`;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      prepared: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const lab = await Lab.open(say);
  let failed = false;
  // What runs on the hosts goes with them: a phase that is under way fails and is not waited for.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void lab.close().finally(() => process.exit(1)));
  }
  try {
    await runLab(lab, !values.prepared, say);
  } catch (error) {
    failed = true;
    say((error as Error).stack ?? String(error));
    for (const line of (error as { evidence?: readonly string[] }).evidence ?? []) say(`  | ${line}`);
  } finally {
    if (!(failed && values.keep)) await lab.close();
  }
  const { phases } = lab;
  console.log(JSON.stringify({ phases }));
  return failed || phases.some(({ ok }) => !ok) ? 1 : 0;
}

process.exitCode = await main();
