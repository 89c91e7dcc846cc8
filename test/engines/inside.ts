/**
 * The first process of the namespaces: makes the tree its root, starts the engine there and runs the tests. Everything
 * it starts ends with it, and its mounts disappear with the namespace.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun, runProgram } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { dataFolder } from './plan.ts';
import type { Plan, Store } from './plan.ts';

const ENGINE_TRIES = 300;
const LOAD_MS = 10 * 60_000;
const OLD_ROOT = '.old';
/** These tests need the network, which is not available. */
const LEFT_OUT = 'reaches the npm registry';

const mount = (...args: readonly string[]): Promise<string> => mustRun('mount', ['mount', ...args]);

async function enter(tree: string): Promise<void> {
  // Keeps our mounts invisible outside.
  await mount('--make-rprivate', '/');
  // An engine's root must be a mount point.
  await mount('--bind', tree, tree);
  const at = (path: string): string => {
    const target = join(tree, path);
    mkdirSync(target, { recursive: true });
    return target;
  };
  await mount('-t', 'proc', 'proc', at('proc'));
  await mount('-t', 'sysfs', 'sysfs', at('sys'));
  await mount('--rbind', '/sys/fs/cgroup', at('sys/fs/cgroup'));
  await mount('--rbind', '/dev', at('dev'));
  for (const folder of ['run', 'tmp']) await mount('-t', 'tmpfs', 'tmpfs', at(folder));
  await mount('--bind', ROOT, at(ROOT));
  at(OLD_ROOT);
  await mustRun('pivot_root', ['pivot_root', tree, join(tree, OLD_ROOT)]);
  process.chdir('/');
  await mustRun('umount', ['umount', '--lazy', `/${OLD_ROOT}`]);
  await mustRun('ip', ['ip', 'link', 'set', 'lo', 'up']);
}

async function startEngine(store: Store): Promise<string> {
  mkdirSync('/etc/docker', { recursive: true });
  const features = { 'containerd-snapshotter': store === 'containerd' };
  const config = { 'live-restore': true, features, 'log-level': 'warn' };
  writeFileSync('/etc/docker/daemon.json', JSON.stringify(config));
  const log = openSync(`/var/log/dockerd-${store}.log`, 'w');
  spawn('dockerd', [`--data-root=${dataFolder(store)}`], { stdio: ['ignore', log, log] });
  for (let tries = 0; tries < ENGINE_TRIES; tries += 1) {
    const { code, stdout } = await runProgram(['docker', 'version', '--format', '{{.Server.Version}}']);
    if (code === 0) return stdout.trim();
    await delay(100);
  }
  throw new Error(`the engine of ${store} does not answer`);
}

async function main({ tree, store, images, files, tests }: Plan): Promise<number> {
  await enter(tree);
  console.log(`engine ${await startEngine(store)}`);
  await mustRun('docker load', ['docker', 'load', '--quiet', `--input=${images}`], { timeoutMs: LOAD_MS });
  const options = ['--test', '--test-concurrency=1', `--test-skip-pattern=${LEFT_OUT}`];
  if (tests !== undefined) options.push(`--test-name-pattern=${tests}`);
  const env = {
    ...process.env,
    TMPDIR: '/var/tmp',
    NO_COLOR: '1',
    NODE_DISABLE_COMPILE_CACHE: '1',
    // Otherwise the runner takes itself for part of the one that runs this.
    NODE_TEST_CONTEXT: undefined,
  };
  const runner = spawn(process.execPath, [...options, ...files], { cwd: ROOT, stdio: 'inherit', env });
  const [code] = (await once(runner, 'close')) as [number | null];
  return code ?? 1;
}

// As the first process of its namespace it takes everything else down with it.
process.exit(await main(JSON.parse(process.argv[2] ?? '') as Plan));
