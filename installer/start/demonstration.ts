/** The demonstration with the sample: a version goes live, then the next one under traffic, without a lost request. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Installation } from './installation.ts';
import { Load } from './load.ts';
import type { LoadResult } from './load.ts';
import type { Sample } from './sample.ts';
import type { Outcome, Watch } from './watch.ts';

/** Minimum requests before the push, after the new version is live, and in all, for a real test of the cutover. */
const REQUESTS_BEFORE = 200;
const REQUESTS_AFTER = 300;
const REQUESTS_IN_ALL = 2400;
/** How long an app of an earlier run may take to serve again, ms. */
const RESUME_MS = 60_000;

interface Demonstration {
  readonly sample: Sample;
  readonly watch: Watch;
  readonly installation: Installation;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

export interface Report {
  readonly deployments: readonly Outcome[];
  readonly load: LoadResult;
}

/** Two new versions, the second under traffic. @throws OrkestrError when a deployment fails or a request is lost */
export async function deployTwice(show: Demonstration): Promise<Report> {
  const first = await deployNext(show);
  await mustServe(show, first.version);
  const { outcome, load } = await deployUnderTraffic(show);
  return { deployments: [first.outcome, outcome], load };
}

/** Continues where an earlier run stopped: deploys only what is missing. */
export async function resume(show: Demonstration): Promise<void> {
  const version = await show.sample.version();
  if (version === 0) await deployNext(show);
  else if (!(await serves(show, RESUME_MS))) {
    show.tell('The sample app is not live: deploying it again.');
    checkLive(await show.watch.follow((await show.sample.deployAgain()).id));
  }
  if (version < 2) await deployUnderTraffic(show);
}

async function deployNext(show: Demonstration): Promise<{ outcome: Outcome; version: string }> {
  const { deployment, version } = await show.sample.pushNext();
  return { outcome: checkLive(await show.watch.follow(deployment.id)), version };
}

async function deployUnderTraffic(show: Demonstration): Promise<{ outcome: Outcome; load: LoadResult }> {
  const { sample, installation } = show;
  const current = await sample.probe(installation.proxyUrl);
  const next = String((await sample.version()) + 1);
  const load = new Load({
    proxyUrl: installation.proxyUrl,
    hostName: sample.hostName,
    versions: new Set(['version' in current ? current.version : '', next]),
  });
  const { outcome, result } = await (async () => {
    try {
      await load.reach(REQUESTS_BEFORE);
      const deployed = await deployNext(show);
      await load.reach(Math.max(REQUESTS_IN_ALL, load.requests + REQUESTS_AFTER));
      return { outcome: deployed.outcome, result: await load.stop() };
    } finally {
      await load.stop();
    }
  })();
  const served = Object.entries(result.served).map(([version, count]) => `${count} by version ${version}`);
  show.tell(`Traffic across the cutover: ${result.requests} requests, ${served.join(', ')}, failed: ${result.failed}`);
  checkLoad(result, next);
  return { outcome, load: result };
}

function checkLive(outcome: Outcome): Outcome {
  if (outcome.status === 'live') return outcome;
  const { code = 'ORK_INTERNAL', message = `The deployment ended as ${outcome.status}.` } = outcome.error ?? {};
  throw new OrkestrError(code, message, { evidence: outcome.error?.evidence ?? [] });
}

function checkLoad(result: LoadResult, next: string): void {
  if (result.failed > 0) {
    throw new OrkestrError(
      'ORK_REQUEST_LOST',
      `${result.failed} of ${result.requests} requests failed across the cutover.`,
      {
        evidence: result.failures,
      },
    );
  }
  if (!result.served[next]) {
    throw new OrkestrError('ORK_REQUEST_LOST', `After the cutover no request was answered by version ${next}.`);
  }
}

/** @throws OrkestrError ORK_REQUEST_LOST unless the proxy answers with this version now */
async function mustServe(show: Demonstration, version: string): Promise<void> {
  const found = await show.sample.probe(show.installation.proxyUrl);
  if ('version' in found && found.version === version) return;
  const what = 'version' in found ? `version ${found.version}` : found.reason;
  throw new OrkestrError('ORK_REQUEST_LOST', `The app should be at version ${version}, but the proxy serves ${what}.`);
}

async function serves(show: Demonstration, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline && !show.signal.aborted) {
    if ('version' in (await show.sample.probe(show.installation.proxyUrl))) return true;
    await sleep(250);
  }
  return false;
}
