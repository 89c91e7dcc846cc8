/**
 * A worker process: one plane, controlled by the process that started it. When that process goes away, the worker stops
 * accepting, finishes work in flight and exits.
 */
import type { AddressInfo } from 'node:net';
import { systemClock } from '../clock.ts';
import { tidyAtFirstRest } from '../../protocol/service/tidy.ts';
import { openProcessLog } from '../observe/process-log.ts';
import type { ProcessLog } from '../observe/process-log.ts';
import { channelOf } from '../planes/channel.ts';
import type { Channel } from '../planes/channel.ts';
import { farewell } from '../planes/messages.ts';
import { lastWordsOf } from '../planes/planes.ts';
import { servePlanes } from '../planes/serve.ts';
import { makeServing } from '../serving.ts';
import type { Serving } from '../serving.ts';
import { surviveUncaught } from '../uncaught.ts';
import { StaticTerminator } from '../tls/static-terminator.ts';
import { ToWorker } from './messages.ts';
import type { FromWorker } from './messages.ts';

const STDOUT = 1;

function work(channel: Channel): void {
  const tell = (message: FromWorker): void => channel.send(message);
  let serving: Serving | null = null;
  let log: ProcessLog | null = null;
  let shutdownMs = 0;

  const start = ({ settings, logLevel, tls }: Extract<ToWorker, { type: 'start' }>): void => {
    shutdownMs = settings.timeouts.shutdownMs;
    const terminator = tls ? new StaticTerminator(systemClock) : null;
    log = openProcessLog(logLevel, systemClock, STDOUT);
    serving = makeServing(settings, { log: log.log, clock: systemClock, terminator });
    servePlanes(channel, serving.planes);
  };
  const listen = async ({ sockets }: Extract<ToWorker, { type: 'listen' }>): Promise<void> => {
    const addresses: AddressInfo[] = [];
    try {
      for (const { kind, fd } of sockets) {
        const address = await serving?.listen({ kind, handle: { fd } });
        if (address) addresses.push(address);
      }
      tell({ type: 'listening', addresses });
      tidyAtFirstRest();
      if (log) surviveUncaught(log.log, null);
    } catch (error) {
      tell({ type: 'failed', message: String(error) });
    }
  };
  const end = async (within: number): Promise<void> => {
    await serving?.close(within);
    if (serving) channel.send(farewell(await lastWordsOf(serving.planes)));
    await log?.close();
    process.exit(0);
  };

  channel.onMessage((message) => {
    const down = ToWorker.safeParse(message);
    // The pipe also carries the calls of planes.
    if (!down.success) return;
    if (down.data.type === 'start') start(down.data);
    else if (down.data.type === 'listen') void listen(down.data);
    else void end(down.data.shutdownMs);
  });
  channel.onClose(() => void end(shutdownMs));
  // A terminal or systemd may signal the whole process group, but the parent decides when a worker ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('SIGUSR2', () => undefined);
  tell({ type: 'booted' });
}

work(channelOf(process));
