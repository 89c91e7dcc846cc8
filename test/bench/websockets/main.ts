/** `npm run bench:websockets`: what WebSockets cost our proxy: to open, to keep, and per message. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ROOT } from '../../../installer/stack/stack.ts';
import { exitCodeOf } from '../../harness/script.ts';
import { freePort } from '../../harness/free-port.ts';
import { Lab } from '../proxy/lab.ts';
import { toStderr } from '../proxy/log.ts';
import { median } from '../proxy/median.ts';
import { orkestr } from '../proxy/proxies/ours.ts';
import type { RunningProxy } from '../proxy/proxies/contract.ts';
import { pinned } from '../proxy/server-process.ts';
import { untilListening } from '../proxy/wait.ts';

const HELP = `npm run bench:websockets -- [options]
  --count N       WebSockets that are opened and kept (default 5000)
  --rounds N      each in a process of its own; the medians count (default 3)
  --checkout A,B  measure the proxies of these checkouts of orkestr, in turn (default this one)
  --engine NAME   fast or http-proxy (default fast)
  --tls           over TLS
One core for the proxy, another for clients and app. The last line is JSON.`;

const APP = fileURLToPath(new URL('app.ts', import.meta.url));
const CLIENTS = fileURLToPath(new URL('clients.ts', import.meta.url));
/** Time for memory to be given back after a load, ms. */
const SETTLE_MS = 2500;
/** Opened and closed beforehand, so that code and pools do not count as costs of a WebSocket. */
const WARM_UP = 1000;
/** Messages echoed on each WebSocket. */
const MESSAGES = 5;

interface Cost {
  readonly openUs: number;
  readonly bytes: number;
  readonly messageUs: number;
}

async function measure(proxy: RunningProxy, lab: Lab, count: number, tls: boolean): Promise<Cost> {
  const port = tls ? proxy.ports.https : proxy.ports.http;
  const { process: server } = proxy;
  await clients(lab, [port, WARM_UP, MESSAGES, tls], async () => undefined);
  await sleep(SETTLE_MS);
  const before = { bytes: server.residentBytes(), cpu: server.cpuNanoseconds() };
  let cost = { openUs: 0, bytes: 0, messageUs: 0 };
  await clients(lab, [port, count, MESSAGES, tls], async (next) => {
    const openUs = (server.cpuNanoseconds() - before.cpu) / 1000 / count;
    await sleep(SETTLE_MS);
    const bytes = (server.residentBytes() - before.bytes) / count;
    const cpu = server.cpuNanoseconds();
    await next();
    cost = { openUs, bytes, messageUs: (server.cpuNanoseconds() - cpu) / 1000 / count / MESSAGES };
  });
  return cost;
}

/**
 * @param held is called when all are open, with a function that makes them echo and waits for it; they close afterwards
 * @throws Error when one of them was not opened, or not echoed
 */
async function clients(
  lab: Lab,
  args: readonly unknown[],
  held: (next: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const argv = pinned(lab.cpus.load, [process.execPath, CLIENTS, ...args.map(String)]);
  const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const said = async (): Promise<void> => {
    if ((await lines.next()).done === true) throw new Error('the clients of the WebSockets have ended');
  };
  try {
    await said();
    await held(async () => {
      child.stdin.write('\n');
      await said();
    });
  } finally {
    child.stdin.end();
    child.kill();
    await ended;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '5000' },
      rounds: { type: 'string', default: '3' },
      checkout: { type: 'string', default: ROOT },
      engine: { type: 'string', default: 'fast' },
      tls: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const engine = values.engine === 'http-proxy' ? 'http-proxy' : 'fast';
  const checkouts = values.checkout.split(',');
  const costs: Cost[][] = checkouts.map(() => []);
  const lab = await new Lab().open();
  process.once('SIGINT', () => void lab.close().finally(() => process.exit(130)));
  try {
    const appPort = await freePort();
    const argv = [process.execPath, APP, String(appPort)] as const;
    const app = lab.start({ name: 'app', argv, cpu: lab.cpus.load, logFile: `${lab.folder}/app.log` });
    await untilListening(app, [appPort]);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const [index, checkout] of checkouts.entries()) {
        const proxy = await orkestr(engine, { checkout, profiles: null }, appPort)(lab);
        const cost = await measure(proxy, lab, Number(values.count), values.tls);
        costs[index]?.push(cost);
        toStderr(`${checkout} ${JSON.stringify(cost)}`);
        await proxy.process.stop();
      }
    }
  } finally {
    await lab.close();
  }
  const of = (samples: readonly Cost[], name: keyof Cost): number =>
    Number((median(samples.map((cost) => cost[name])) ?? 0).toFixed(name === 'bytes' ? 0 : 1));
  const medians = checkouts.map((checkout, index) => {
    const samples = costs[index] ?? [];
    return {
      checkout,
      openUs: of(samples, 'openUs'),
      bytes: of(samples, 'bytes'),
      messageUs: of(samples, 'messageUs'),
    };
  });
  console.log(JSON.stringify({ engine, tls: values.tls, count: Number(values.count), medians }));
  return 0;
}

process.exitCode = await exitCodeOf(main);
