/**
 * `npm run bench:restart`: how long visitors wait when the proxy is killed and systemd, which holds its socket,
 * restarts it at once. See HELP. The last line of its output is one JSON object.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { EdgeProcess } from '../../harness/edge-process.ts';
import { exitCodeOf } from '../../harness/script.ts';
import { entryFor, uuid } from '../../integration/proxy/harness.ts';
import { Activated } from './activated.ts';
import { Visits } from './visits.ts';

const HELP = `npm run bench:restart [-- --kills N]

Kills the proxy with SIGKILL under 500 requests per second, each on a connection of its own, and starts it again at once on
the socket that is kept for it. It reports the time from the kill to the first answer that only the new process can have
given, and what was not answered 200 meanwhile. Exits 1 when an answer says that the table was not there, or when the
median of the times is above 300 ms.

  --kills N   how often (default 20)`;

/** Apps in the restored table. */
const APPS = 50;
const RATE = 500;
/** The bar for the median from a kill to the first answer, ms. */
const BAR_MS = 300;
/** Time between two kills, ms: the load is steady again, and the start has left no work behind. */
const BETWEEN_MS = 1_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { kills: { type: 'string', default: '20' }, help: { type: 'boolean', default: false } },
  });
  const kills = Number(values.kills);
  if (values.help || !(kills >= 1)) {
    console.log(HELP);
    return values.help ? 0 : 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'ork-restart-'));
  const app = createServer((_req, res) => res.end('ok')).listen(0, '127.0.0.1');
  try {
    await fillTable(folder, await portOf(app));
    return await killAgainAndAgain(folder, kills);
  } finally {
    app.close();
    rmSync(folder, { recursive: true });
  }
}

async function killAgainAndAgain(folder: string, kills: number): Promise<number> {
  await using proxy = await Activated.start(folder);
  const visits = new Visits(proxy.port, RATE);
  const waits: number[] = [];
  try {
    await sleep(BETWEEN_MS);
    for (let kill = 0; kill < kills; kill += 1) {
      const killedAt = performance.now();
      const answered = visits.firstAnswerOf(killedAt);
      await proxy.killAndRestart();
      waits.push((await answered) - killedAt);
      console.log(`kill ${kill + 1}: answered after ${waits.at(-1)?.toFixed(0)} ms`);
      await sleep(BETWEEN_MS);
    }
  } finally {
    await visits.end();
  }
  const sorted = waits.toSorted((a, b) => a - b);
  const [p50 = 0, max = 0] = [sorted[Math.floor((kills - 1) / 2)], sorted.at(-1)];
  const { sent, wrong } = visits;
  for (const [fault, count] of visits.faults) console.log(`${count} x ${fault}`);
  console.log(JSON.stringify({ kills, p50Ms: Math.round(p50), maxMs: Math.round(max), sent, wrong }));
  return wrong === 0 && p50 <= BAR_MS ? 0 : 1;
}

/** Uses a proxy that serves only for this. The last app gets the load. */
async function fillTable(folder: string, port: number): Promise<void> {
  const proxy = await EdgeProcess.start({ name: 'proxy', folder, engine: 'fast' });
  for (let number = APPS; number >= 1; number -= 1) {
    const routes = [{ host: number === 1 ? 'app.test' : `app${number}.test`, pathPrefix: '/' }];
    const entry = entryFor(port, { id: uuid(number), routes, edge: EdgeSettings.parse({ https: 'off' }) });
    await proxy.flip({ entry, expectedGeneration: 0 });
  }
  await proxy.stop();
}

async function portOf(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}

process.exitCode = await exitCodeOf(main);
