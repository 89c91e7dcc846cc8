/** Keeps a connection to the hub: dials, redials with growing, jittered pauses, and knows the state of the link. */
import type { UpgradeOrder } from '../../protocol/agent-link.ts';
import { openJob } from '../../protocol/signing.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import type { Job, SignedJob } from '../../protocol/job.ts';
import { parseJson } from '../../protocol/json.ts';
import { reasonOf } from '../../protocol/service/dialling.ts';
import { z } from 'zod';
import { backoffMs } from '../lib/backoff.ts';
import type { BackoffLimits } from '../lib/backoff.ts';
import type { Clock } from '../deployment/ports.ts';
import { connection } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { takeEdgeOrder } from './edge.ts';

export const DEFAULT_PACE: BackoffLimits = { baseMs: 1000, capMs: 30_000 };

/** A hub that refuses this version does so until a person upgrades something, which may take days. */
const FOR_PEOPLE_FACTOR = 10;
const VERSION_REFUSED: readonly (ErrorCode | null)[] = ['ORK_PROTOCOL_AGENT_OLD', 'ORK_PROTOCOL_HUB_OLD'];
/** Likewise two machines with one identity, which would take the connection from each other every second. */
const FOR_PEOPLE: readonly (ErrorCode | null)[] = [...VERSION_REFUSED, 'ORK_HOST_TWICE'];

/** After a connection that lasted this long, the pauses start from the shortest again, ms. */
const STEADY_MS = 10_000;

export interface LinkState {
  readonly hubUrl: string;
  readonly connected: boolean;
  /** ISO 8601: time of the last change of `connected` or `lastError`. */
  readonly since: string;
  /** Why the last connection ended; null if there was none. */
  readonly lastError: string | null;
  /** Error code of `lastError`, if it has one. */
  readonly lastCode: ErrorCode | null;
  /** ISO 8601: when the hub last sent anything; null: not yet. */
  readonly lastContact: string | null;
  /** ISO 8601: when another machine with the identity of this host last took over the connection; absent: never. */
  readonly twiceAt?: string;
}

export interface HubLink {
  state(): LinkState;
  stop(): Promise<void>;
}

/** Receives verified jobs, refusals of unreadable ones, and cancels. */
interface JobSink {
  accept(job: Job): void;
  refuse(job: { readonly deploymentId: string; readonly generation: number }, error: ErrorReport): void;
  cancel(deploymentId: string): void;
}

export interface LinkOptions extends Omit<ConnectionOptions, 'orders' | 'monotonic' | 'heard'> {
  readonly jobs: JobSink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly pace: BackoffLimits;
}

/** Starts dialling at once and goes on until `stop`. */
export function startHubLink(options: LinkOptions): HubLink {
  const { clock, log } = options;
  const stopped = new AbortController();
  let state: LinkState = {
    hubUrl: options.hubUrl,
    connected: false,
    since: new Date(clock.now()).toISOString(),
    lastError: null,
    lastCode: null,
    lastContact: null,
  };
  const now = (): string => new Date(clock.now()).toISOString();
  const become = (connected: boolean, error: Error | null): void => {
    const lastCode = error instanceof OrkestrError ? error.code : null;
    const twice = lastCode === 'ORK_HOST_TWICE' && { twiceAt: now() };
    state = { ...state, connected, since: now(), lastError: error && reasonOf(error), lastCode, ...twice };
  };
  const heard = (): void => {
    state = { ...state, lastContact: now() };
  };
  const orders = {
    job: (envelope: SignedJob) => takeJob(options, envelope),
    cancel: (deploymentId: string) => options.jobs.cancel(deploymentId),
    upgrade: (order: UpgradeOrder) => options.upgrades.order(order),
    edge: (envelope: SignedJob) => takeEdgeOrder(options, envelope),
  };
  const monotonic = (): number => clock.monotonic();

  // Dial forever: the host must never need a person to get back to its hub.
  const dial = async (): Promise<void> => {
    for (let failures = 0; !stopped.signal.aborted; failures++) {
      const began = clock.monotonic();
      const ended = await connection({ ...options, orders, monotonic, heard }, stopped.signal, (protocol) => {
        become(true, null);
        log.info({ hub: options.hubUrl, protocol }, 'connected to the hub');
      });
      if (stopped.signal.aborted) return;
      const isTwice = ended instanceof OrkestrError && ended.code === 'ORK_HOST_TWICE';
      if (state.connected && !isTwice && clock.monotonic() - began > STEADY_MS) failures = 0;
      const reason = reasonOf(ended);
      if (state.connected || state.lastError !== reason) become(false, ended);
      const slower = FOR_PEOPLE.includes(state.lastCode) ? FOR_PEOPLE_FACTOR : 1;
      const waitMs = backoffMs(failures, options.pace, options.random) * slower;
      log.warn({ hub: options.hubUrl, reason, waitMs: Math.round(waitMs) }, 'no connection to the hub');
      await clock.sleep(waitMs, stopped.signal).catch(() => undefined); // stopped: the loop condition ends it
    }
  };

  const dialling = dial();
  return {
    state: () => state,
    async stop() {
      stopped.abort();
      await dialling;
    },
  };
}

/**
 * Checks the signature first, then whether the job is for this host. A job not signed by our hub is not even parsed.
 */
function takeJob({ credentials, jobs, log }: LinkOptions, envelope: SignedJob): void {
  let job: Job;
  try {
    job = openJob(envelope, credentials.hubPublicKey);
  } catch (error) {
    if (error instanceof OrkestrError && error.code === 'ORK_SIGNATURE') {
      log.error({ err: error }, 'a job without a valid signature was refused');
      return;
    }
    return refuseUnreadable({ jobs, log, hostId: credentials.hostId }, envelope.payload, error);
  }
  if (job.hostId !== credentials.hostId) {
    log.error({ deploymentId: job.deploymentId, hostId: job.hostId }, 'a job for another host was refused');
    return;
  }
  jobs.accept(job);
}

const Addressed = z.object({ deploymentId: Uuid, generation: z.int(), hostId: Uuid });

/** Signed by our hub, but not a job that this version knows: reported to the hub if at least its ids can be read. */
function refuseUnreadable(
  { jobs, log, hostId }: Pick<LinkOptions, 'jobs' | 'log'> & { hostId: string },
  payload: string,
  error: unknown,
): void {
  log.error({ err: error }, 'a job that this version cannot read was refused');
  // Without an id to report, not even in JSON, the log line above is all that is left.
  const named = Addressed.safeParse(parseJson(payload));
  if (named.success && named.data.hostId === hostId) jobs.refuse(named.data, toErrorReport(error, 'ORK_JOB_REFUSED'));
}
