/** Versions of all parts that work together here, and the uptime of the machine. */
import { release } from 'node:os';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { askEngine } from '../docker/ask.ts';
import { duration } from '../lib/duration.ts';
import { VERSION } from '../lib/version.ts';
import { upgradeLine } from '../upgrade/record.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import type { Check, StatusSubject } from './check.ts';

const Version = z.object({
  Version: z.string(),
  Components: z.array(z.object({ Name: z.string(), Version: z.string() })).default([]),
});

export const versions: Check = {
  name: 'versions',
  async run(subject) {
    const [engine, proxy, upSeconds] = await Promise.all([engineVersions(subject), proxyVersion(subject), uptime()]);
    const data = {
      orkestr: VERSION,
      // The running version may be older than the installed one.
      agent: subject.agent?.version ?? null,
      proxy,
      ...engine,
      node: process.version,
      kernel: release(),
      upSeconds,
      lastUpgrade: subject.lastUpgrade ?? null,
    };
    const known = (version: string | null): string => version ?? 'unknown';
    return {
      level: 'ok',
      summary: `orkestr ${VERSION}, proxy ${known(proxy)}, Docker ${known(engine.docker)}, runc ${known(engine.runc)}, containerd ${known(engine.containerd)}`,
      details: [
        `Linux ${data.kernel}, up ${duration(upSeconds * 1000)}, Node.js ${data.node}`,
        ...(data.lastUpgrade === null ? [] : [`last upgrade: ${upgradeLine(data.lastUpgrade)}`]),
      ],
      data,
    };
  },
};

interface EngineVersions {
  readonly docker: string | null;
  readonly runc: string | null;
  readonly containerd: string | null;
}

/** A part that does not respond has no version here; another check reports that. */
async function engineVersions({ dockerSocket, answerMs = ANSWER_MS }: StatusSubject): Promise<EngineVersions> {
  const question = { path: '/version', schema: Version, deadlineMs: answerMs };
  const found = await askEngine(dockerSocket, question).catch(() => null); // see above
  const part = (name: string): string | null => found?.Components.find(({ Name }) => Name === name)?.Version ?? null;
  return { docker: found?.Version ?? null, runc: part('runc'), containerd: part('containerd') };
}

const proxyVersion = ({ proxy }: StatusSubject): Promise<string | null> =>
  proxy.health().then(
    ({ version }) => version ?? null,
    () => null, // see above
  );

/** proc_uptime(5), seconds. */
const uptime = async (): Promise<number> => Number.parseFloat(await readFile('/proc/uptime', 'utf8'));
