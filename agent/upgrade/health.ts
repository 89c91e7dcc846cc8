/** Whether a started service is healthy: checks again until it is, or the time is over. */
import { OrkestrError } from '../../protocol/errors.ts';
import { isBeingCopied } from '../../protocol/service/database-copy.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../deployment/ports.ts';
import { askHub } from '../host-facts/hub-answer.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { readEngine } from '../host-facts/engine-info.ts';
import { askView } from '../local-api/client.ts';
import { hubDatabase } from './databases.ts';
import type { Layout } from './layout.ts';
import { versionOfProcess } from './releases.ts';
import { AGENT_UNIT, HUB_UNIT, PROXY_UNIT } from './services.ts';
import type { Services } from './services.ts';

interface Patience {
  /** Time limit from the start to the first answer, and from there to health, ms: a busy machine starts slowly. */
  readonly healthyMs: number;
  /** How long it must stay healthy in one process, ms: one that crashes again and again is healthy in between. */
  readonly steadyMs: number;
  /** Pause between two looks, ms. */
  readonly everyMs: number;
}

export const DEFAULT_PATIENCE: Patience = { healthyMs: 60_000, steadyMs: 3000, everyMs: 250 };

const ANSWER_MS = 3000;
/** After so many exits a service will not come up: systemd keeps restarting it, the upgrade stops waiting. */
const MOST_RESTARTS = 4;
const LOG_LINES = 15;

/** What an upgrade works with. */
export interface UpgradeParts {
  readonly layout: Layout;
  readonly config: Pick<Config, 'stateFolder' | 'agentSocket' | 'proxySocket' | 'dockerSocket' | 'channel'>;
  readonly services: Services;
  readonly clock: Clock;
  readonly patience: Patience;
}

/**
 * Result of one look. `run` changes with each restart; `silent`: there was no answer, so it may be well; `busy`: it
 * makes progress with slow work before its start; `answers`: it runs, in the version that is wanted.
 */
export type Look =
  | { readonly well: true; readonly run: string }
  | {
      readonly well: false;
      readonly why: string;
      readonly silent: boolean;
      readonly busy?: true;
      readonly answers?: true;
    };

/** A unit, and how to see that it is well. */
export interface Patient {
  readonly unit: string;
  look(): Promise<Look>;
}

/**
 * Returns once the patient is well and has stayed so.
 * @throws OrkestrError ORK_UPGRADE_UNHEALTHY with the last problem and the end of its log
 */
export async function untilWell({ clock, patience, services }: UpgradeParts, patient: Patient): Promise<void> {
  const { unit } = patient;
  const judge = makeHealthWindow(patience, clock.monotonic());
  let restartsBefore: number | null = null;
  for (;;) {
    const { verdict, why } = judge(await patient.look(), clock.monotonic());
    if (verdict === 'well') return;
    // systemd does not answer while it restarts itself, after an update of its package: the next look asks again.
    const state = await services.state(unit).catch(() => null);
    restartsBefore ??= state?.restarts ?? null;
    const isHopeless = state !== null && (state.failed || state.restarts - (restartsBefore ?? 0) >= MOST_RESTARTS);
    if (isHopeless || verdict === 'late') {
      const how = isHopeless ? 'it keeps exiting' : `not healthy in ${patience.healthyMs / 1000} s`;
      throw new OrkestrError('ORK_UPGRADE_UNHEALTHY', `${unit}: ${how}. ${why}`, {
        evidence: await services.lines(unit, LOG_LINES),
      });
    }
    await clock.sleep(patience.everyMs);
  }
}

/** The verdict on a look, given all looks before it; `why`: the last problem. */
type HealthWindow = (found: Look, now: number) => { readonly verdict: 'well' | 'wait' | 'late'; readonly why: string };

function makeHealthWindow({ healthyMs, steadyMs }: Patience, start: number): HealthWindow {
  let began = start;
  let hasAnswered = false;
  let why = 'It was not checked.';
  let steady: { readonly run: string; readonly since: number } | null = null;
  return (found, now) => {
    if (found.well) {
      if (steady?.run !== found.run) steady = { run: found.run, since: now };
      // One that is well gets the time to show that it stays so, even past the limit.
      return { verdict: now - steady.since >= steadyMs ? 'well' : 'wait', why };
    }
    steady = null;
    why = found.why;
    // The first answer extends the limit, once: a service that answers only now and then makes no progress.
    if (found.busy || (found.answers && !hasAnswered)) began = now;
    hasAnswered ||= found.answers === true;
    return { verdict: now - began > healthyMs ? 'late' : 'wait', why };
  };
}

const ill = (why: string, silent = false): Look => ({ well: false, why, silent });

/** Well if it answers with this version, the hub has welcomed it, and its engine responds. */
export const agentPatient = ({ config }: UpgradeParts, version: string): Patient => ({
  unit: AGENT_UNIT,
  async look() {
    const view = await askView(config.agentSocket, ANSWER_MS);
    if (view === 'absent') return ill('No agent is running.');
    if (view === 'silent') return ill('The agent does not answer.');
    if (view.version !== version) return ill(`The agent that answers is ${view.version}.`);
    if (view.hub !== null && !view.hub.connected) {
      const why = `The agent has no connection to its hub: ${view.hub.lastError ?? 'not dialled yet'}.`;
      return { ...ill(why), answers: true };
    }
    try {
      await readEngine(config.dockerSocket);
    } catch (error) {
      return { ...ill((error as Error).message), answers: true };
    }
    return { well: true, run: String(view.pid) };
  },
});

/** @param url where this host reaches the hub; null: its agent has not joined it */
export const hubPatient = (
  { layout, services, clock }: UpgradeParts,
  version: string,
  url: string | null,
): Patient => ({
  unit: HUB_UNIT,
  async look() {
    const state = await services.state(HUB_UNIT).catch(() => null); // see untilWell
    if (state === null) return ill('systemd does not answer.');
    const { active, mainPid } = state;
    if (!active || mainPid === null) {
      const isBusy = isBeingCopied(hubDatabase(layout), clock.now());
      return isBusy
        ? { ...ill('The hub copies its database before it changes it.'), busy: true }
        : ill('The hub is not ready.');
    }
    const runs = versionOfProcess(layout, mainPid);
    if (runs !== version) return ill(`The hub that runs is ${runs ?? 'of no release'}.`);
    const answer = url === null ? null : await askHub(url, clock, ANSWER_MS);
    if (answer?.reached === false) return ill(`The hub does not answer: ${answer.message}.`);
    if (answer !== null && answer.status !== 200) return ill(`The hub answers with status ${answer.status}.`);
    return { well: true, run: String(mainPid) };
  },
});

export const proxyPatient = ({ config }: UpgradeParts, version: string): Patient => ({
  unit: PROXY_UNIT,
  async look() {
    try {
      const answer = await makeProxyClient(config.proxySocket, { callMs: ANSWER_MS }).health();
      if (answer.version === version) return { well: true, run: version };
      return ill(`The proxy that answers is ${answer.version ?? 'of an unknown version'}.`);
    } catch (error) {
      return ill((error as Error).message, true);
    }
  },
});
