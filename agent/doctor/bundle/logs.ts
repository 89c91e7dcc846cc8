/** The last log lines of our processes: from systemd's journal, or from the log files of `npm start`. */
import { open } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Subject } from '../subject.ts';

const PROCESSES = ['agent', 'proxy', 'hub'] as const;
const LINES = 2000;
const MAX_BYTES = 1_048_576;
const LOOK_MS = 10_000;

/** Name of the process → its last lines. Processes without a log here are left out. */
export async function lastLines(subject: Subject): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    PROCESSES.map(async (name): Promise<[string, string]> => [name, await linesOf(subject, name)]),
  );
  return new Map(found.filter(([, text]) => text !== ''));
}

async function linesOf({ places, config, exec }: Subject, name: string): Promise<string> {
  const file = join(dirname(config.stateFolder), 'logs', `${name}.log`);
  if (existsSync(file)) return tailOf(file);
  if (!existsSync(places.systemd)) return '';
  const argv = [`--unit=orkestr-${name}`, `--lines=${LINES}`, '--no-pager', '--output=short-iso'];
  const options = { timeoutMs: LOOK_MS, maxOutputBytes: MAX_BYTES };
  try {
    return (await exec('journalctl', argv, options)).stdout;
  } catch (error) {
    return `journalctl could not be run: ${error instanceof Error ? error.message : String(error)}\n`;
  }
}

/** The end of a file, from the beginning of a line. */
async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - MAX_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, MAX_BYTES)), 0, undefined, from);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    const lines = text.split('\n');
    return (from === 0 ? lines : lines.slice(1)).slice(-LINES - 1).join('\n');
  } finally {
    await file.close();
  }
}
