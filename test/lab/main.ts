/** `npm run lab`: see HELP. The last line of its output is one JSON object. */
import { parseArgs } from 'node:util';
import { withEngine } from '../harness/engine.ts';
import { interrupted } from '../harness/interrupted.ts';
import { exitCodeOf } from '../harness/script.ts';
import { containerImage } from './container/image.ts';
import type { HostImage } from './host.ts';
import { Lab } from './lab.ts';
import { runLab } from './run.ts';
import type { Between } from './run.ts';
import { HOST_RELEASE, PREPARED, Suite } from './server.ts';
import { hasKvm } from './vm/host.ts';
import { vmImage } from './vm/image.ts';

const HELP = `npm run lab [-- --prepared] [--vm] [--upgrades | --brief] [--suite NAME] [--keep]

Makes a release, boots hosts with their own systemd and engines, and does with them what an owner does: installs the hub from
bare, joins an agent with the hub's command, deploys and restarts under traffic, uninstalls; then each host is
compared with its state before.

  --prepared     hosts already have Docker Engine and git: faster, and nothing is downloaded
  --vm           the main host is a virtual machine (QEMU) instead of a container: its own kernel and engine,
                 control groups v2, real reboots and power cuts
  --upgrades     only upgrades between installation and uninstall: a third of the time
  --brief        nothing between installation, first deployments and uninstall: a tenth of the time
  --suite NAME   the Debian release of the hosts, with --vm of the virtual machine: ${Suite.options.join(', ')} (default: the first)
  --keep         when a phase fails, keep the hosts until Ctrl-C, to inspect them: docker exec -it NAME bash

Examples:
  npm run lab                          # from bare
  npm run lab -- --prepared            # with an engine on the hosts
  npm run lab -- --suite bullseye      # the oldest C library and systemd
  npm run lab -- --vm --suite trixie   # a newer kernel and a newer Docker Engine

The last line is {"phases":[{"name","seconds","failedRequests","ok"}]}. Exits 1 when a phase is not ok.`;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      prepared: { type: 'boolean', default: false },
      vm: { type: 'boolean', default: false },
      upgrades: { type: 'boolean', default: false },
      brief: { type: 'boolean', default: false },
      suite: { type: 'string', default: Suite.options[0] },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.upgrades && values.brief) {
    say('--upgrades and --brief exclude each other.');
    return 1;
  }
  const suite = Suite.safeParse(values.suite);
  if (!suite.success) {
    say(`There is no suite ${values.suite} for a lab: ${Suite.options.join(', ')}.`);
    return 1;
  }
  const packages = values.prepared ? PREPARED : [];
  return withEngine({ kinds: ['node'], say }, () => tryAll(packages, { ...values, suite: suite.data }));
}

function betweenOf({ upgrades, brief }: Options): Between {
  if (upgrades) return 'upgrades';
  return brief ? 'nothing' : 'all';
}

interface Options {
  readonly prepared: boolean;
  readonly vm: boolean;
  readonly upgrades: boolean;
  readonly brief: boolean;
  readonly suite: Suite;
  readonly keep: boolean;
}

async function tryAll(packages: readonly string[], options: Options): Promise<number> {
  const { prepared, vm, suite, keep } = options;
  const lab = await Lab.open(say);
  const stop = interrupted();
  let failed = false;
  const run = async (): Promise<void> => {
    const image = await containerImage(packages, say, vm ? HOST_RELEASE : suite);
    const web = vm ? await machineImage(suite, packages) : image;
    await runLab(lab, { hub: image, web, api: image }, { bare: !prepared, between: betweenOf(options) });
  };
  try {
    // After a signal, a phase in progress is not awaited: it fails once its host is removed.
    await Promise.race([run(), stop]);
  } catch (error) {
    failed = true;
    say((error as Error).stack ?? String(error));
    for (const line of (error as { evidence?: readonly string[] }).evidence ?? []) say(`  | ${line}`);
  } finally {
    if (failed && keep) {
      say('Ctrl-C removes the hosts.');
      await stop.catch(() => undefined); // nothing is running any more
    }
    await lab.close();
  }
  const { phases } = lab;
  console.log(JSON.stringify({ phases }));
  return failed || phases.some(({ ok }) => !ok) ? 1 : 0;
}

function machineImage(suite: Suite, packages: readonly string[]): Promise<HostImage> {
  if (!hasKvm())
    say('There is no KVM: every instruction of the machine is translated, which takes many times as long.');
  return vmImage(suite, packages, say);
}

// Does not wait for what a signal has left running.
process.exit(await exitCodeOf(main));
