/** `orkestr-agent trial`: whether this release would work on this host. Looks, and changes nothing. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { toErrorReport } from '../../protocol/errors.ts';
import { sealerFromKeyFile } from '../../protocol/sealing.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../deployment/ports.ts';
import { askHub } from '../host-facts/hub-answer.ts';
import { hostSigner } from '../identity/host-key.ts';
import { readIdentity } from '../identity/identity.ts';
import { copyJournal } from '../journal/copy.ts';
import { openJournal } from '../journal/journal.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { readEngine } from '../host-facts/engine-info.ts';

/** Never rename anything: an older release reads the output of a newer one. */
export const TrialReport = z.object({
  version: z.string(),
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), told: z.string() })),
});
export type TrialReport = z.infer<typeof TrialReport>;

const ANSWER_MS = 10_000;
/** A busy host may answer late once, which is no reason to give up an upgrade. */
const TRIES = 3;
const BETWEEN_TRIES_MS = 2000;
/** Prefix of folders with a copy of the journal, in the state folder. */
const WORK_PREFIX = 'trial-';
/** More than any trial takes: an upgrade waits two minutes for it. */
const LONGEST_MS = 10 * 60_000;

interface TrialParts {
  readonly version: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
}

interface TrialCheck {
  readonly name: string;
  /** @returns the finding; throws what is wrong */
  readonly run: (parts: TrialParts) => Promise<string>;
}

const CHECKS: readonly TrialCheck[] = [
  { name: 'identity', run: tryIdentity },
  { name: 'journal', run: tryJournal },
  { name: 'engine', run: async ({ config }) => `Docker Engine ${(await readEngine(config.dockerSocket)).version}` },
  { name: 'proxy', run: tryProxy },
  { name: 'hub', run: tryHub },
];

export async function runTrial(parts: TrialParts): Promise<TrialReport> {
  const checks = await Promise.all(CHECKS.map((check) => tryOut(check, parts)));
  return { version: parts.version, ok: checks.every(({ ok }) => ok), checks };
}

async function tryOut({ name, run }: TrialCheck, parts: TrialParts): Promise<TrialReport['checks'][number]> {
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return { name, ok: true, told: await run(parts) };
    } catch (error) {
      if (left === 0) return { name, ok: false, told: toErrorReport(error).message };
      await parts.clock.sleep(BETWEEN_TRIES_MS);
    }
  }
}

export const renderTrial = ({ version, ok, checks }: TrialReport): string =>
  [
    ...checks.map((check) => `${check.ok ? 'ok    ' : 'FAILED'}  ${check.name.padEnd(8)}  ${check.told}`),
    `orkestr ${version} ${ok ? 'would work here.' : 'would not work here.'}\n`,
  ].join('\n');

async function tryIdentity({ config }: TrialParts): Promise<string> {
  const identity = readIdentity(config.stateFolder);
  if (identity === null) return 'none: this host has not joined a hub';
  if (identity.hub !== null) hostSigner(config.stateFolder)('trial');
  return `host ${identity.hostId}`;
}

/** Migrates a copy: a migration that would fail at the switch already fails here. */
async function tryJournal({ config, clock, log }: TrialParts): Promise<string> {
  const { stateFolder } = config;
  if (!existsSync(stateFolder)) return 'none yet';
  removeLeft(stateFolder, clock);
  const folder = mkdtempSync(join(stateFolder, WORK_PREFIX));
  try {
    if (!(await copyJournal(stateFolder, folder))) return 'none yet';
    const sealer = sealerFromKeyFile(join(stateFolder, 'secret.key'));
    const journal = await openJournal({ stateFolder: folder, sealer, log, now: () => clock.now() });
    try {
      if (journal.quarantined !== null) throw new Error('The journal is damaged: `orkestr-agent doctor` says more.');
      return `${journal.unfinished().length} deployments to go on with, ${journal.allLive().length} live`;
    } finally {
      journal.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Removes copies of trials that were killed, or whose host lost its power. */
function removeLeft(stateFolder: string, clock: Clock): void {
  for (const name of readdirSync(stateFolder).filter((one) => one.startsWith(WORK_PREFIX))) {
    const path = join(stateFolder, name);
    if (clock.now() - statSync(path).mtimeMs > LONGEST_MS) rmSync(path, { recursive: true, force: true });
  }
}

async function tryProxy({ config }: TrialParts): Promise<string> {
  const { version } = await makeProxyClient(config.proxySocket, { callMs: ANSWER_MS }).health();
  return `proxy ${version ?? 'of an unknown version'}`;
}

async function tryHub({ config, clock }: TrialParts): Promise<string> {
  const url = readIdentity(config.stateFolder)?.hub?.url;
  if (url === undefined) return 'none: this host has not joined one';
  const answer = await askHub(url, clock, ANSWER_MS);
  if (!answer.reached) throw new Error(`${url} does not answer: ${answer.message} (${answer.code}).`);
  if (answer.status !== 200) throw new Error(`${url} answers with status ${answer.status}.`);
  return url;
}
